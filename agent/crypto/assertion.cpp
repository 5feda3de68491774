#include "agent/crypto/assertion.hpp"

#include "agent/base/handle.hpp"
#include "agent/crypto/digest.hpp"
#include "agent/crypto/secret_base64.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/random.h>
#include <algorithm>
#include <array>
#include <cstring>

namespace scratchd {
namespace {

using bio_ptr = c_ptr<BIO, BIO_free>;
using key_ptr = c_ptr<EVP_PKEY, EVP_PKEY_free>;
using certificate_ptr = c_ptr<X509, X509_free>;
using md_ctx = c_ptr<EVP_MD_CTX, EVP_MD_CTX_free>;

struct credential {
    key_ptr key;
    certificate_ptr certificate;
};

// OpenSSL would ask at the terminal.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

result<credential> read_pem(secret const& pem) {
    auto open = [&] { return bio_ptr(BIO_new_mem_buf(pem.bytes().data(), static_cast<int>(pem.size()))); };
    credential out;
    auto const for_key = open();
    auto const for_certificate = open();
    if (for_key) out.key.reset(PEM_read_bio_PrivateKey(for_key.get(), nullptr, no_passphrase, nullptr));
    if (for_certificate)
        out.certificate.reset(PEM_read_bio_X509(for_certificate.get(), nullptr, no_passphrase, nullptr));
    if (!out.key || !out.certificate)
        return fail(errc::credential_format, "the file holds no unencrypted private key with its certificate in PEM");
    if (EVP_PKEY_get_base_id(out.key.get()) != EVP_PKEY_RSA || EVP_PKEY_get_bits(out.key.get()) < 2048)
        return fail(errc::credential_format, "the key is not RSA of 2048 bits or more");
    if (X509_check_private_key(out.certificate.get(), out.key.get()) != 1)
        return fail(errc::credential_format, "the first certificate is not that of the key");
    return out;
}

result<std::string> thumbprint(X509 const& certificate, EVP_MD const* hash) {
    std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (X509_digest(&certificate, hash, reinterpret_cast<unsigned char*>(digest.data()), &size) != 1)
        return fail(errc::internal, "X509_digest");
    return base64url(std::span(digest).first(size));
}

// RFC 9562, version 4.
result<std::string> fresh_uuid() {
    std::array<std::byte, 16> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return fail_errno("getrandom");
    bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
    auto text = hex(bytes);
    for (auto const at : {20U, 16U, 12U, 8U}) text.insert(at, "-");
    return text;
}

result<std::string> signing_input(X509 const& certificate, assertion_claims const& claims,
                                  assertion_algorithm algorithm) {
    bool const pss = algorithm == assertion_algorithm::ps256;
    SCRATCHD_TRY(auto const print, thumbprint(certificate, pss ? EVP_sha256() : EVP_sha1()));
    SCRATCHD_TRY(auto const id, fresh_uuid());
    for (auto const* text : {&claims.audience, &claims.client_id})
        if (std::ranges::any_of(*text, [](char c) { return c <= ' ' || c == '"' || c == '\\' || c >= 127; }))
            return fail(errc::internal, "a claim that needs escaping");
    auto const header = fmt::format(R"({{"alg":"{}","typ":"JWT","{}":"{}"}})", pss ? "PS256" : "RS256",
                                    pss ? "x5t#S256" : "x5t", print);
    auto const payload =
        fmt::format(R"({{"aud":"{0}","iss":"{1}","sub":"{1}","jti":"{2}","nbf":{3},"iat":{3},"exp":{4}}})",
                    claims.audience, claims.client_id, id, claims.now, claims.now + claims.life);
    return base64url(as_bytes(header)) + "." + base64url(as_bytes(payload));
}

result<secret> signature(EVP_PKEY& key, std::string_view input, assertion_algorithm algorithm) {
    md_ctx const context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;  // belongs to the context
    auto const* const data = reinterpret_cast<unsigned char const*>(input.data());
    if (!context || EVP_DigestSignInit(context.get(), &options, EVP_sha256(), nullptr, &key) != 1)
        return fail(errc::internal, "EVP_DigestSignInit");
    if (algorithm == assertion_algorithm::ps256 &&
        (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1))
        return fail(errc::internal, "PSS padding");
    std::size_t size = 0;
    if (EVP_DigestSign(context.get(), nullptr, &size, data, input.size()) != 1)
        return fail(errc::internal, "EVP_DigestSign");
    SCRATCHD_TRY(auto out, secret::make(size));
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.bytes().data()), &size, data,
                       input.size()) != 1)
        return fail(errc::internal, "EVP_DigestSign");
    out.truncate(size);
    return out;
}

}  // namespace

result<secret> sign_assertion(secret const& pem, assertion_claims const& claims, assertion_algorithm algorithm) {
    SCRATCHD_TRY(auto const who, read_pem(pem));
    SCRATCHD_TRY(auto const input, signing_input(*who.certificate, claims, algorithm));
    SCRATCHD_TRY(auto const signed_bytes, signature(*who.key, input, algorithm));
    SCRATCHD_TRY(auto const encoded, base64url_secret(signed_bytes.bytes()));
    SCRATCHD_TRY(auto out, secret::make(input.size() + 1 + encoded.size()));
    auto* const at = out.bytes().data();
    std::memcpy(at, input.data(), input.size());
    at[input.size()] = std::byte{'.'};
    std::memcpy(at + input.size() + 1, encoded.bytes().data(), encoded.size());
    return out;
}

}  // namespace scratchd
