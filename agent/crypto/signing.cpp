#include "agent/crypto/signing.hpp"

#include "agent/base/handle.hpp"
#include "agent/crypto/digest.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace scratchd {
namespace {

using bio_ptr = c_ptr<BIO, BIO_free>;
using md_ctx = c_ptr<EVP_MD_CTX, EVP_MD_CTX_free>;

constexpr std::size_t signature_bytes = 64;

unsigned char const* raw(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

}  // namespace

result<signing_key> signing_key::from_seed(secret const& seed) {
    auto const bytes = seed.bytes();
    std::shared_ptr<EVP_PKEY> key(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, reinterpret_cast<unsigned char const*>(bytes.data()),
                                     bytes.size()),
        EVP_PKEY_free);
    if (!key) return fail(errc::internal, "the node key is not an Ed25519 seed of 32 bytes");
    return signing_key(std::move(key));
}

result<std::string> signing_key::sign(std::string_view message) const {
    md_ctx const context(EVP_MD_CTX_new());
    std::string out(signature_bytes, '\0');
    std::size_t size = out.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, raw(message),
                       message.size()) != 1)
        return fail(errc::internal, "Ed25519 signature");
    return out;
}

result<std::string> signing_key::public_pem() const {
    bio_ptr const bio(BIO_new(BIO_s_mem()));
    if (!bio || PEM_write_bio_PUBKEY(bio.get(), key_.get()) != 1) return fail(errc::internal, "write the public key");
    char* data = nullptr;
    auto const size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

result<verifying_key> verifying_key::from_pem(std::string_view pem) {
    bio_ptr const bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    std::shared_ptr<EVP_PKEY> key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr,
                                  EVP_PKEY_free);
    if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
        return fail(errc::record_unreadable, "not an Ed25519 public key in PEM");
    return verifying_key(std::move(key));
}

bool verifying_key::verify(std::string_view message, std::string_view signature) const {
    md_ctx const context(EVP_MD_CTX_new());
    return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
           EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

result<std::string> verifying_key::fingerprint() const {
    unsigned char* der = nullptr;
    int const size = i2d_PUBKEY(key_.get(), &der);
    if (size <= 0) return fail(errc::internal, "encode the public key");
    auto digest = sha256(std::string_view(reinterpret_cast<char const*>(der), static_cast<std::size_t>(size)));
    OPENSSL_free(der);
    SCRATCHD_TRY(auto const found, std::move(digest));
    return hex(found);
}

}  // namespace scratchd
