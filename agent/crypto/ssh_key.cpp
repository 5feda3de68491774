#include "agent/crypto/ssh_key.hpp"

#include "agent/base/handle.hpp"
#include "agent/crypto/digest.hpp"
#include "agent/crypto/evp_key.hpp"
#include "agent/crypto/private_key.hpp"
#include "agent/crypto/ssh_public_key.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <array>

namespace scratchd {
namespace {

using md_context = c_ptr<EVP_MD_CTX, EVP_MD_CTX_free>;
using pkey_context = c_ptr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

constexpr std::size_t largest_signature = largest_rsa_bits / 8;

std::unexpected<error> no_signature() {
    ERR_clear_error();
    return fail(errc::internal, "ssh signature");
}

unsigned char const* raw(bytes_view bytes) {
    return reinterpret_cast<unsigned char const*>(bytes.data());
}

// A context that signs digests of this kind again and again: making one costs as much as an ECDSA signature.
pkey_context make_signer(evp_key const& key, EVP_MD const* digest) {
    pkey_context made(EVP_PKEY_CTX_new(key.get(), nullptr));
    if (!made || EVP_PKEY_sign_init(made.get()) != 1 || EVP_PKEY_CTX_set_signature_md(made.get(), digest) != 1)
        return nullptr;
    return made;
}

std::string number_text(BIGNUM const* number) {
    std::string out(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
    (void)BN_bn2bin(number, reinterpret_cast<unsigned char*>(out.data()));
    return out;
}

// RFC 5656 3.1.2: string (mpint r, mpint s), from OpenSSL's DER.
std::string ecdsa_value(std::string_view der) {
    auto const* at = reinterpret_cast<unsigned char const*>(der.data());
    c_ptr<ECDSA_SIG, ECDSA_SIG_free> const both(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    if (!both) return "";
    auto const r = number_text(ECDSA_SIG_get0_r(both.get()));
    auto const s = number_text(ECDSA_SIG_get0_s(both.get()));
    return wire_writer().mpint(r).mpint(s).take();
}

}  // namespace

struct ssh_key::state {
    evp_key key;
    ssh_public own;
    std::string fingerprint;
    EVP_MD const* digest = nullptr;  // ECDSA
    pkey_context signer;             // ECDSA
    pkey_context rsa256;
    pkey_context rsa512;
    md_context ed25519;

    [[nodiscard]] bool prepare() {
        if (own.type == "ssh-rsa") {
            rsa256 = make_signer(key, EVP_sha256());
            rsa512 = make_signer(key, EVP_sha512());
            return rsa256 && rsa512;
        }
        if (own.type == "ssh-ed25519") {
            ed25519.reset(EVP_MD_CTX_new());
            return ed25519 && EVP_DigestSignInit(ed25519.get(), nullptr, nullptr, nullptr, key.get()) == 1;
        }
        digest = own.type.ends_with("p256") ? EVP_sha256() : own.type.ends_with("p384") ? EVP_sha384() : EVP_sha512();
        signer = make_signer(key, digest);
        return signer != nullptr;
    }

    static result<std::string> sign_digest(pkey_context const& with, EVP_MD const* digest, bytes_view data) {
        std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
        unsigned hash_size = 0;
        std::array<unsigned char, largest_signature> out{};
        std::size_t size = out.size();
        if (EVP_Digest(data.data(), data.size(), hash.data(), &hash_size, digest, nullptr) != 1 ||
            EVP_PKEY_sign(with.get(), out.data(), &size, hash.data(), hash_size) != 1)
            return no_signature();
        return std::string(reinterpret_cast<char const*>(out.data()), size);
    }

    [[nodiscard]] result<std::string> sign_ed25519(bytes_view data) const {
        // A copy: OpenSSL 3.5 lets a context sign once only.
        md_context const context(EVP_MD_CTX_new());
        std::array<unsigned char, 64> out{};
        std::size_t size = out.size();
        if (!context || EVP_MD_CTX_copy_ex(context.get(), ed25519.get()) != 1 ||
            EVP_DigestSign(context.get(), out.data(), &size, raw(data), data.size()) != 1)
            return no_signature();
        return wire_writer().string(own.type).string({reinterpret_cast<char const*>(out.data()), size}).take();
    }

    [[nodiscard]] result<std::string> sign_rsa(bytes_view data, std::uint32_t flags) const {
        bool const is_256 = (flags & sign_rsa_sha2_256) != 0;
        if (!is_256 && (flags & sign_rsa_sha2_512) == 0)
            return fail(errc::bad_request, "an RSA signature with SHA-1 was asked for");
        SCRATCHD_TRY(auto const value,
                     sign_digest(is_256 ? rsa256 : rsa512, is_256 ? EVP_sha256() : EVP_sha512(), data));
        return wire_writer().string(is_256 ? "rsa-sha2-256" : "rsa-sha2-512").string(value).take();
    }

    [[nodiscard]] result<std::string> sign(bytes_view data, std::uint32_t flags) const {
        if (ed25519) return sign_ed25519(data);
        if (rsa256) return sign_rsa(data, flags);
        SCRATCHD_TRY(auto const der, sign_digest(signer, digest, data));
        return wire_writer().string(own.type).string(ecdsa_value(der)).take();
    }
};

ssh_key::ssh_key(std::unique_ptr<state> made) : state_(std::move(made)) {}
ssh_key::ssh_key(ssh_key&&) noexcept = default;
ssh_key& ssh_key::operator=(ssh_key&&) noexcept = default;
ssh_key::~ssh_key() = default;

result<ssh_key> ssh_key::parse(secret const& text) {
    auto made = std::make_unique<state>();
    SCRATCHD_TRY(made->key, read_private_key(text));
    SCRATCHD_TRY(made->own, describe(made->key));
    SCRATCHD_TRY(made->fingerprint, ssh_fingerprint(made->own.blob));
    auto const probe = as_bytes("the private part belongs to the public part");
    auto const public_part = ssh_public_key::parse(as_bytes(made->own.blob));
    auto const signature = made->prepare() ? made->sign(probe, sign_rsa_sha2_512) : no_signature();
    if (!public_part || !signature || !public_part->verify(probe, as_bytes(*signature)))
        return fail(errc::credential_format, "the private key does not belong to its public part");
    return ssh_key(std::move(made));
}

std::string const& ssh_key::type() const {
    return state_->own.type;
}
std::string const& ssh_key::blob() const {
    return state_->own.blob;
}
std::string const& ssh_key::fingerprint() const {
    return state_->fingerprint;
}
result<std::string> ssh_key::sign(bytes_view data, std::uint32_t flags) const {
    return state_->sign(data, flags);
}

}  // namespace scratchd
