#include "agent/crypto/ssh_public_key.hpp"

#include "agent/base/handle.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <array>

namespace scratchd {
namespace {

using md_context = c_ptr<EVP_MD_CTX, EVP_MD_CTX_free>;

constexpr std::string_view certificate_suffix = "-cert-v01@openssh.com";

unsigned char const* raw(bytes_view bytes) {
    return reinterpret_cast<unsigned char const*>(bytes.data());
}

result<evp_key> read_key(std::string_view type, wire_reader& in) {
    if (type == "ssh-ed25519") return make_ed25519_public(in.string());
    if (type == "ssh-rsa") {
        auto const e = in.mpint();
        auto const n = in.mpint();
        return make_rsa({n, e});
    }
    constexpr std::string_view ecdsa = "ecdsa-sha2-";
    auto const curve = in.text();
    if (!type.starts_with(ecdsa) || curve != type.substr(ecdsa.size()))
        return fail(errc::credential_format, "a kind of public key that is not served");
    return make_ec(curve, in.string());
}

// The digest that goes with a key's type and the algorithm a signature names; null: they do not belong together.
EVP_MD const* digest_of(std::string_view type, std::string_view algorithm) {
    if (type == "ssh-rsa") {
        if (algorithm == "rsa-sha2-256") return EVP_sha256();
        return algorithm == "rsa-sha2-512" ? EVP_sha512() : nullptr;
    }
    if (type != algorithm) return nullptr;
    if (type == "ecdsa-sha2-nistp256") return EVP_sha256();
    if (type == "ecdsa-sha2-nistp384") return EVP_sha384();
    return type == "ecdsa-sha2-nistp521" ? EVP_sha512() : EVP_md_null();
}

bool check(evp_key const& key, EVP_MD const* digest, bytes_view message, unsigned char const* value, std::size_t size) {
    md_context const context(EVP_MD_CTX_new());
    bool const good = context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.get()) == 1 &&
                      EVP_DigestVerify(context.get(), value, size, raw(message), message.size()) == 1;
    ERR_clear_error();
    return good;
}

// ssh carries r and s as two mpints (RFC 5656 3.1.2), OpenSSL wants DER.
bool check_ecdsa(evp_key const& key, EVP_MD const* digest, bytes_view message, bytes_view value) {
    wire_reader in(value);
    auto const r = in.mpint();
    auto const s = in.mpint();
    constexpr std::size_t largest = 66;  // nistp521
    if (!in.done() || r.size() > largest || s.size() > largest) return false;
    c_ptr<ECDSA_SIG, ECDSA_SIG_free> const both(ECDSA_SIG_new());
    if (!both || ECDSA_SIG_set0(both.get(), BN_bin2bn(raw(r), static_cast<int>(r.size()), nullptr),
                                BN_bin2bn(raw(s), static_cast<int>(s.size()), nullptr)) != 1)
        return false;
    std::array<unsigned char, 3 * largest> der{};
    auto* end = der.data();
    int const size = i2d_ECDSA_SIG(both.get(), &end);
    return size > 0 && check(key, digest, message, der.data(), static_cast<std::size_t>(size));
}

}  // namespace

result<ssh_public_key> ssh_public_key::parse(bytes_view blob) {
    wire_reader in(blob);
    auto type = in.text();
    bool const is_certificate = type.ends_with(certificate_suffix);
    if (is_certificate) {
        type.remove_suffix(certificate_suffix.size());
        (void)in.string();  // its nonce
    }
    SCRATCHD_TRY(auto key, read_key(type, in));
    if (in.has_failed() || (!is_certificate && !in.done()))
        return fail(errc::credential_format, "a public key of the wrong length");
    SCRATCHD_TRY(auto const plain, describe(key));
    SCRATCHD_TRY(auto fingerprint, ssh_fingerprint(plain.blob));
    return ssh_public_key(std::move(key), plain.type, std::move(fingerprint));
}

bool ssh_public_key::verify(bytes_view message, bytes_view signature) const {
    wire_reader in(signature);
    auto const algorithm = in.text();
    auto const value = in.string();
    auto const* const digest = digest_of(type_, algorithm);
    if (!in.done() || digest == nullptr) return false;
    if (type_.starts_with("ecdsa")) return check_ecdsa(key_, digest, message, value);
    return check(key_, type_ == "ssh-ed25519" ? nullptr : digest, message, raw(value), value.size());
}

}  // namespace scratchd
