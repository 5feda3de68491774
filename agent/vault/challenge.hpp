// What stands in WWW-Authenticate (RFC 9110, 11.6.1). It tells people why a token was refused; nothing in it ever
// decides where a token goes or for what it is asked.
#pragma once

#include "agent/base/error.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scratchd::vault {

struct challenge {
    std::string scheme;                             // lower case: "bearer", "pop", "basic"
    std::string token68;                            // instead of parameters
    std::map<std::string, std::string> parameters;  // names in lower case

    [[nodiscard]] std::optional<std::string> parameter(std::string const& name) const;
};

// All challenges of one field value: quoted strings with commas and backslashes, several schemes, empty list items.
// A parameter twice in one challenge, an open quote, or anything beyond the grammar is vault_malformed.
result<std::vector<challenge>> parse_challenges(std::string_view field);

// The first of a scheme in several fields; fields that do not parse are passed over.
std::optional<challenge> find_challenge(std::vector<std::string> const& fields, std::string_view scheme);

// Azure Arc's "Basic realm=/var/opt/azcmagent/tokens/GUID.key": a realm without quotes, against the grammar.
std::optional<std::string> arc_realm(std::vector<std::string> const& fields);

}  // namespace scratchd::vault
