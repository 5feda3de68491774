// Certificate authorities and certificates made for a test, and the text forms that programs read.
#pragma once

#include <memory>
#include <string>

struct evp_pkey_st;
struct x509_st;

struct issued {
    std::shared_ptr<evp_pkey_st> key;
    std::shared_ptr<x509_st> certificate;

    [[nodiscard]] std::string key_pem() const;  // PKCS #8
    [[nodiscard]] std::string certificate_pem() const;
    // DER; `old`: with 3DES and SHA-1, as Key Vault made them in 2021.
    [[nodiscard]] std::string pkcs12(char const* passphrase, issued const* chain = nullptr, bool old = false) const;
};

struct wanted_certificate {
    std::string name = "test";
    long valid_for = 3600;  // seconds from now; negative: it ended then
    bool is_authority = false;
    bool rsa = false;  // 2048 bits; else P-256
};
// Signed by `by`, or by itself.
issued issue(wanted_certificate const& what, issued const* by = nullptr);
