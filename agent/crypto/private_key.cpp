#include "agent/crypto/private_key.hpp"

#include "agent/base/handle.hpp"
#include "agent/crypto/pem.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace scratchd {
namespace {

using pkcs8_ptr = c_ptr<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>;

constexpr std::string_view openssh_magic("openssh-key-v1\0", 15);

std::unexpected<error> malformed() {
    ERR_clear_error();
    return fail(errc::credential_format, "the private key is damaged or of a kind that is not served");
}

result<evp_key> read_rsa(wire_reader& in) {
    rsa_numbers numbers;
    numbers.n = in.mpint();
    numbers.e = in.mpint();
    numbers.d = in.mpint();
    numbers.q_inverse = in.mpint();
    numbers.p = in.mpint();
    numbers.q = in.mpint();
    if (in.has_failed() || numbers.d.empty()) return malformed();
    return make_rsa(numbers);
}

result<evp_key> read_ed25519(wire_reader& in) {
    (void)in.string();  // the public key, which follows from the seed
    auto const both = in.string();
    constexpr std::size_t seed_bytes = 32;
    if (both.size() != 2 * seed_bytes) return malformed();
    return make_ed25519_private(both.first(seed_bytes));
}

result<evp_key> read_ecdsa(wire_reader& in) {
    auto const curve = in.text();
    auto const point = in.string();
    auto const scalar = in.mpint();
    if (in.has_failed() || scalar.empty()) return malformed();
    return make_ec(curve, point, scalar);
}

// The private part: the same number twice, the key, a comment, padding 1 2 3 ...
result<evp_key> read_openssh_private(bytes_view bytes) {
    wire_reader in(bytes);
    auto const check = in.u32();
    if (check != in.u32()) return malformed();
    auto const type = in.text();
    SCRATCHD_TRY(auto key, type == "ssh-rsa"                     ? read_rsa(in)
                           : type == "ssh-ed25519"               ? read_ed25519(in)
                           : type.starts_with("ecdsa-sha2-nist") ? read_ecdsa(in)
                                                                 : malformed());
    (void)in.string();  // comment
    if (in.has_failed()) return malformed();
    std::uint8_t expected = 0;
    for (auto const b : in.rest())
        if (std::to_integer<std::uint8_t>(b) != ++expected) return malformed();
    return key;
}

result<evp_key> read_openssh(bytes_view bytes) {
    if (!as_text(bytes).starts_with(openssh_magic)) return malformed();
    wire_reader in(bytes.subspan(openssh_magic.size()));
    auto const cipher = in.text();
    auto const kdf = in.text();
    (void)in.string();  // the kdf's options
    auto const keys = in.u32();
    (void)in.string();  // public key
    auto const inner = in.string();
    if (in.has_failed() || keys != 1) return malformed();
    if (cipher != "none" || kdf != "none")
        return fail(errc::credential_format, "the private key is encrypted with a passphrase: store it without");
    return read_openssh_private(inner);
}

result<evp_key> read_der(std::string_view label, bytes_view bytes) {
    auto const* at = reinterpret_cast<unsigned char const*>(bytes.data());
    auto const* const end = at + bytes.size();
    auto const size = static_cast<long>(bytes.size());
    evp_key key;
    if (label == "PRIVATE KEY") {
        pkcs8_ptr const info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, size));
        if (info) key.reset(EVP_PKCS82PKEY(info.get()), EVP_PKEY_free);
    } else if (label == "RSA PRIVATE KEY") {
        key.reset(d2i_PrivateKey(EVP_PKEY_RSA, nullptr, &at, size), EVP_PKEY_free);
    } else if (label == "EC PRIVATE KEY") {
        key.reset(d2i_PrivateKey(EVP_PKEY_EC, nullptr, &at, size), EVP_PKEY_free);
    }
    if (!key || at != end) return malformed();
    return key;
}

}  // namespace

result<evp_key> read_private_key(secret const& text) {
    SCRATCHD_TRY(auto const block, read_private_pem(text));
    if (block.label == "OPENSSH PRIVATE KEY") return read_openssh(block.body.bytes());
    return read_der(block.label, block.body.bytes());
}

}  // namespace scratchd
