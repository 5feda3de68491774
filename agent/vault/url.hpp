// Addresses: which are ours to talk to, and how names go into a path.
#pragma once

#include "agent/base/error.hpp"
#include "agent/vault/exchange.hpp"

#include <string>
#include <string_view>

namespace scratchd::vault {

// "host" or "host:port", https. Letters, digits, dots and dashes only; lower-cased.
result<endpoint> parse_authority(std::string_view text);

struct link {
    endpoint to;
    std::string path;   // percent-encoded, "/" if there was none
    std::string query;  // percent-encoded, without '?'
};
// An absolute http or https URL without user, password and fragment.
result<link> parse_link(std::string_view text);

// https://NAME.SUFFIX and nothing more. NAME is 3 to 24 of [0-9A-Za-z-] (Key Vault's rule); a port only if `suffix`
// has the same. Errors: vault_untrusted, which does not repeat the URL: it may be a caller's.
result<endpoint> parse_vault_url(std::string_view text, std::string_view suffix);

// A registry as docker names it, HOST or HOST:PORT, one label below `suffix`.
result<endpoint> parse_registry(std::string_view text, std::string_view suffix);

// 1 to 127 of [0-9a-zA-Z-]: Key Vault's rule, so that a name never leaves its place in the path.
bool is_secret_name(std::string_view name) noexcept;
// 32 hexadecimal digits.
bool is_version(std::string_view version) noexcept;

// Without the case of ASCII letters.
bool same_text(std::string_view a, std::string_view b) noexcept;

// RFC 3986: all but unreserved characters as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace scratchd::vault
