// Where a secret comes from. A third kind of vault is one more class here and one line in broker/app.cpp.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"
#include "agent/ipc/task.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace scratchd::vault {

struct secret_ref {
    std::string vault;     // https://contoso.vault.azure.net; empty where the provider has only one place
    std::string name;      // in the vault
    std::string version;   // empty: the newest
    std::string identity;  // who asks: the name of an [[identity]]
};

struct fetched {
    secret value;
    std::string content_type;
    std::string version;
    std::optional<std::int64_t>
        expires;  // seconds since 1970; the provider refuses what is past it, and so does the cache
};

class provider {
public:
    virtual ~provider() = default;

    // Errors: secret_missing, secret_disabled, secret_expired, vault_denied, vault_throttled, vault_unreachable,
    // vault_untrusted, vault_malformed, identity_refused, timed_out; credential_format for a certificate or an
    // identity's proof that cannot be read; bad_request, config_value, not_configured for what no vault can answer.
    // None of them carries a byte of a secret or a token.
    virtual task<result<fetched>> fetch(secret_ref what, deadline until) = 0;

    // A login for a registry without a stored password: an identity token exchanged for the registry's own. `value` is
    // the password that goes with the fixed user name 00000000-0000-0000-0000-000000000000.
    virtual task<result<fetched>> registry_login(std::string registry, std::string identity, deadline until) = 0;

    // Drops every cached token: the operator repaired a permission and does not want to wait.
    virtual void forget() = 0;
};

// Reads a file of root in [broker] directory, by name. The broker may not open it itself: scratchd hands it over.
using source_reader = std::function<task<result<secret>>(std::string name)>;

}  // namespace scratchd::vault
