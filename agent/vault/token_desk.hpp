// Tokens by the name of an identity, for who needs them: the vault and the registries.
#pragma once

#include "agent/vault/identity.hpp"
#include "agent/vault/token_cache.hpp"

#include <map>
#include <memory>
#include <string>

namespace scratchd::vault {

class token_desk {
public:
    token_desk(timing& time, std::map<std::string, std::shared_ptr<identity_source>> identities);

    // Errors: config_value for a name that is not configured, and those of identity_source.
    task<result<shared_token>> token(std::string identity, std::string resource, deadline until);
    // The service did not take it: the next call gets a new one.
    void reject(std::string const& identity, std::string const& resource, shared_token const& refused);
    void forget();

private:
    std::map<std::string, std::shared_ptr<identity_source>> identities_;
    token_cache cache_;
};

}  // namespace scratchd::vault
