// Ed25519 signatures (RFC 8032) for records and sealed files.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace scratchd {

// A key pair made from a 32-byte seed. Signing is deterministic and draws no random numbers.
class signing_key {
public:
    static result<signing_key> from_seed(secret const& seed);

    [[nodiscard]] result<std::string> sign(std::string_view message) const;  // 64 bytes
    [[nodiscard]] result<std::string> public_pem() const;                    // SubjectPublicKeyInfo, PEM

private:
    explicit signing_key(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
    std::shared_ptr<evp_pkey_st> key_;
};

class verifying_key {
public:
    static result<verifying_key> from_pem(std::string_view pem);

    [[nodiscard]] bool verify(std::string_view message, std::string_view signature) const;
    // SHA-256 of the DER form in hex: what a person compares, `openssl pkey -pubin -outform DER | sha256sum`.
    [[nodiscard]] result<std::string> fingerprint() const;

private:
    explicit verifying_key(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
    std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace scratchd
