// Tokens as a login service would make them, without a signature.
#pragma once

#include "agent/crypto/digest.hpp"
#include "agent/crypto/secret_base64.hpp"

#include <string>

namespace fake {

inline std::string jwt(std::string const& claims) {
    using scratchd::as_bytes;
    return scratchd::base64url(as_bytes(R"({"alg":"none"})")) + "." + scratchd::base64url(as_bytes(claims)) + ".c2ln";
}

}  // namespace fake
