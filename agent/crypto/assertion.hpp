// A client's proof by certificate: a JSON Web Token signed with its RSA key (RFC 7523, RFC 7515, RFC 7518).
//
// Source of the header's fields: "Microsoft identity platform application authentication certificate credentials".
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <cstdint>
#include <string>

namespace scratchd {

enum class assertion_algorithm : std::uint8_t {
    ps256,  // with x5t#S256
    rs256,  // with x5t, a SHA-1: for login services that know no other
};

struct assertion_claims {
    std::string audience;     // the token endpoint's URL
    std::string client_id;    // issuer and subject
    std::int64_t now = 0;     // seconds since 1970
    std::int64_t life = 600;  // seconds
};

// `pem` holds an unencrypted private key and its certificate, in any order. Errors: credential_format (no such pair, no
// RSA key of 2048 bits or more), internal.
result<secret> sign_assertion(secret const& pem, assertion_claims const& claims, assertion_algorithm algorithm);

}  // namespace scratchd
