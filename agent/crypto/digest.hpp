// Hashes and their printed forms, over OpenSSL's EVP.
//
// None of this draws random numbers through OpenSSL: its generator keeps AES key schedules in memory, and a memory
// dump of this process must hold no AES schedule that is not a volume's.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace scratchd {

using digest256 = std::array<std::byte, 32>;

result<digest256> sha256(std::span<std::byte const> data);
result<digest256> sha256(std::string_view data);

// HMAC-SHA-256 (FIPS 198-1).
result<digest256> hmac_sha256(std::span<std::byte const> key, std::span<std::byte const> data);
result<digest256> hmac_sha256(std::span<std::byte const> key, std::string_view data);

// HKDF with SHA-512 (RFC 5869): `size` bytes from `key`, bound to `salt` and `info`.
result<secret> hkdf_sha512(std::span<std::byte const> key, std::span<std::byte const> salt, std::string_view info,
                           std::size_t size);

std::string hex(std::span<std::byte const> data);
std::string base64(std::span<std::byte const> data);
// Strict: padding demanded, no white space.
result<std::string> base64_decode(std::string_view text);

inline std::span<std::byte const> as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace scratchd
