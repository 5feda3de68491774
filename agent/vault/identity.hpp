// Who the broker is: each source proves it in its own way and gives a token for a resource. Nothing is cached here.
#pragma once

#include "agent/config/broker_config.hpp"
#include "agent/vault/ask.hpp"
#include "agent/vault/provider.hpp"
#include "agent/vault/token.hpp"

#include <memory>
#include <string>

namespace scratchd::vault {

class identity_source {
public:
    virtual ~identity_source() = default;
    // `resource` without "/.default" and without a slash at the end. Errors: identity_refused, vault_throttled,
    // vault_unreachable, vault_untrusted, vault_malformed, timed_out, and what the reading of a file gives.
    virtual task<result<access_token>> token(std::string resource, deadline until) = 0;
};

struct identity_tools {
    asking how;
    std::string login;                                     // host of the login service
    source_reader read;                                    // files of [broker] directory
    std::string arc_folder = "/var/opt/azcmagent/tokens";  // where Azure Arc puts its challenges
};

// Errors: config_value, naming the key of [[identity]].
result<std::shared_ptr<identity_source>> make_identity(identity_config const& who, identity_tools tools);

// The kinds, chosen by make_identity.
std::shared_ptr<identity_source> make_imds_identity(identity_config const& who, identity_tools tools);
result<std::shared_ptr<identity_source>> make_arc_identity(identity_config const& who, identity_tools tools);
result<std::shared_ptr<identity_source>> make_ml_identity(identity_config const& who, identity_tools tools);
result<std::shared_ptr<identity_source>> make_login_identity(identity_config const& who, identity_tools tools);

}  // namespace scratchd::vault
