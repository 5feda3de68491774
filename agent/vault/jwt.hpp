// What a token says about itself. Its signature is not checked here: the one who is asked does that. It serves to
// notice a token that is not what was asked for.
#pragma once

#include "agent/vault/document.hpp"

#include <optional>
#include <string_view>

namespace scratchd::vault {

// The claims of a JSON Web Token (RFC 7519, 7.2); nothing where it is no such token.
std::optional<document> read_claims(std::string_view token);

}  // namespace scratchd::vault
