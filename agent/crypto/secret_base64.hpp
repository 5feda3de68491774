// Base 64 of secrets, in locked memory both ways.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace scratchd {

// RFC 4648, section 4: padding demanded, no white space. Errors: bad_request.
result<secret> base64_decode_secret(std::string_view text);
// RFC 4648, section 5, as JWTs have it: no padding.
result<secret> base64url_decode_secret(std::string_view text);
// Of what is no secret: hashes, headers, claims.
std::string base64url(std::span<std::byte const> data);
result<secret> base64url_secret(std::span<std::byte const> data);

}  // namespace scratchd
