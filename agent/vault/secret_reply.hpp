// Key Vault's answers to "get secret" and "list secrets", taken apart and held against what was asked.
//
// The service hands out secrets outside their nbf and exp ("About Azure Key Vault secrets", date-time controlled
// operations): that they are not used is up to us.
#pragma once

#include "agent/vault/exchange.hpp"
#include "agent/vault/provider.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace scratchd::vault {

struct secret_wish {
    endpoint vault;
    std::string name;
    std::string version;  // empty: any
};

// Errors: vault_untrusted (the id is another vault's or another secret's), secret_disabled, secret_expired (also: not
// yet valid), vault_malformed, which names the field; credential_format for a managed certificate that cannot be read.
result<fetched> read_secret_reply(secret const& body, secret_wish const& wish, std::int64_t wall_seconds);

struct listed_secret {
    std::string name;
    std::string content_type;
    bool enabled = false;
    bool managed = false;
    std::optional<std::int64_t> not_before;  // seconds since 1970
    std::optional<std::int64_t> expires;
};
struct list_page {
    std::vector<listed_secret> secrets;
    std::string next;  // target of the next page; empty: this was the last
};
// The next page must be on the same vault, below /secrets; ":443" may stand in its address.
result<list_page> read_list_reply(secret const& body, endpoint const& vault);

}  // namespace scratchd::vault
