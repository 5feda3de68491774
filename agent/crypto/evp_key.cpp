#include "agent/crypto/evp_key.hpp"

#include "agent/base/handle.hpp"
#include "agent/base/secret.hpp"
#include "agent/crypto/digest.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <algorithm>
#include <array>
#include <vector>

namespace scratchd {
namespace {

using bn = c_ptr<BIGNUM, BN_clear_free>;
using bn_context = c_ptr<BN_CTX, BN_CTX_free>;
using pkey_context = c_ptr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

struct curve_name {
    std::string_view ssh;
    char const* openssl;
    std::size_t point_bytes;  // uncompressed
};
constexpr curve_name curves[] = {
    {"nistp256", "prime256v1", 65}, {"nistp384", "secp384r1", 97}, {"nistp521", "secp521r1", 133}};
constexpr std::size_t ed25519_bytes = 32;
constexpr std::size_t largest_exponent_bytes = 8;  // of a public key: a longer one only costs time

std::unexpected<error> no_key(char const* why) {
    ERR_clear_error();
    return fail(errc::credential_format, why);
}

unsigned char const* raw(bytes_view bytes) {
    return reinterpret_cast<unsigned char const*>(bytes.data());
}

// Numbers for EVP_PKEY_fromdata, in the machine's byte order (OSSL_PARAM(3)), in memory of our own.
class parameters {
public:
    explicit parameters(secret memory) : memory_(std::move(memory)) {}
    static std::size_t needs(std::size_t bytes) { return bytes + sizeof(void*); }

    void text(char const* name, char const* value) {
        list_.push_back(OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0));
    }
    void octets(char const* name, bytes_view value) {
        list_.push_back(OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(value.data()), value.size()));
    }
    void number(char const* name, bytes_view big_endian) {
        auto const at = memory_.bytes().subspan(used_, big_endian.size());
        std::ranges::reverse_copy(big_endian, at.begin());
        used_ += big_endian.size();
        list_.push_back(OSSL_PARAM_construct_BN(name, reinterpret_cast<unsigned char*>(at.data()), at.size()));
    }
    result<evp_key> build(char const* kind, bool is_private) {
        list_.push_back(OSSL_PARAM_construct_end());
        pkey_context const context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
        EVP_PKEY* made = nullptr;
        int const selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
        if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
            EVP_PKEY_fromdata(context.get(), &made, selection, list_.data()) != 1)
            return no_key("these numbers are no key");
        return evp_key(made, EVP_PKEY_free);
    }

private:
    secret memory_;
    std::size_t used_ = 0;
    std::vector<OSSL_PARAM> list_;
};

// d mod (prime - 1): with it a signature takes a quarter of the time.
result<secret> reduced(bytes_view d, bytes_view prime) {
    bn_context const context(BN_CTX_secure_new());
    bn const whole(BN_bin2bn(raw(d), static_cast<int>(d.size()), nullptr));
    bn const modulus(BN_bin2bn(raw(prime), static_cast<int>(prime.size()), nullptr));
    bn const out(BN_new());
    SCRATCHD_TRY(auto bytes, secret::make(prime.size()));
    if (!context || !whole || !modulus || !out || BN_sub_word(modulus.get(), 1) != 1 || BN_is_zero(modulus.get()) ||
        BN_mod(out.get(), whole.get(), modulus.get(), context.get()) != 1 ||
        BN_bn2binpad(out.get(), reinterpret_cast<unsigned char*>(bytes.bytes().data()),
                     static_cast<int>(bytes.size())) < 0)
        return no_key("these numbers are no RSA key");
    return bytes;
}

result<std::string> number_of(evp_key const& key, char const* name) {
    BIGNUM* raw_number = nullptr;
    if (EVP_PKEY_get_bn_param(key.get(), name, &raw_number) != 1) return no_key("a key without its numbers");
    bn const number(raw_number);
    std::string out(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
    (void)BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(out.data()));
    return out;
}

result<ssh_public> describe_rsa(evp_key const& key) {
    if (int const bits = EVP_PKEY_get_bits(key.get()); bits < smallest_rsa_bits || bits > largest_rsa_bits)
        return no_key("an RSA key of less than 2048 or more than 8192 bits");
    SCRATCHD_TRY(auto const n, number_of(key, OSSL_PKEY_PARAM_RSA_N));
    SCRATCHD_TRY(auto const e, number_of(key, OSSL_PKEY_PARAM_RSA_E));
    return ssh_public{"ssh-rsa", wire_writer().string("ssh-rsa").mpint(e).mpint(n).take()};
}

result<ssh_public> describe_ec(evp_key const& key) {
    std::array<char, 32> group{};
    std::size_t size = 0;
    if (EVP_PKEY_get_group_name(key.get(), group.data(), group.size(), &size) != 1)
        return no_key("an elliptic-curve key without a named curve");
    auto const found = std::ranges::find(curves, std::string_view(group.data(), size), &curve_name::openssl);
    if (found == std::end(curves)) return no_key("an elliptic curve that ssh does not use");
    // A key file may hold the point compressed; ssh knows the long form only.
    (void)EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
    std::string point(found->point_bytes, '\0');
    auto* const at = reinterpret_cast<unsigned char*>(point.data());
    if (EVP_PKEY_get_octet_string_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY, at, point.size(), &size) != 1 ||
        size != point.size() || point.front() != '\x04')
        return no_key("an elliptic-curve key without its point");
    auto type = "ecdsa-sha2-" + std::string(found->ssh);
    auto blob = wire_writer().string(type).string(found->ssh).string(point).take();
    return ssh_public{std::move(type), std::move(blob)};
}

result<ssh_public> describe_ed25519(evp_key const& key) {
    std::string point(ed25519_bytes, '\0');
    std::size_t size = point.size();
    if (EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(point.data()), &size) != 1)
        return no_key("an Ed25519 key without its point");
    return ssh_public{"ssh-ed25519", wire_writer().string("ssh-ed25519").string(point).take()};
}

}  // namespace

result<evp_key> make_rsa(rsa_numbers const& of) {
    if (of.n.size() > largest_rsa_bits / 8 || of.e.size() > largest_exponent_bytes || of.e.empty() ||
        of.n.size() < smallest_rsa_bits / 8)
        return no_key("an RSA key of less than 2048 or more than 8192 bits, or a strange exponent");
    bool const is_private = !of.d.empty();
    if (is_private && (of.p.empty() || of.q.empty() || of.q_inverse.empty() || of.d.size() > of.n.size() ||
                       of.p.size() > of.n.size() || of.q.size() > of.n.size() || of.q_inverse.size() > of.n.size()))
        return no_key("these numbers are no RSA key");
    SCRATCHD_TRY(auto memory, secret::make(8 * of.n.size() + of.e.size()));
    parameters all(std::move(memory));
    all.number(OSSL_PKEY_PARAM_RSA_N, of.n);
    all.number(OSSL_PKEY_PARAM_RSA_E, of.e);
    if (is_private) {
        SCRATCHD_TRY(auto const d_p, reduced(of.d, of.p));
        SCRATCHD_TRY(auto const d_q, reduced(of.d, of.q));
        all.number(OSSL_PKEY_PARAM_RSA_D, of.d);
        all.number(OSSL_PKEY_PARAM_RSA_FACTOR1, of.p);
        all.number(OSSL_PKEY_PARAM_RSA_FACTOR2, of.q);
        all.number(OSSL_PKEY_PARAM_RSA_EXPONENT1, d_p.bytes());
        all.number(OSSL_PKEY_PARAM_RSA_EXPONENT2, d_q.bytes());
        all.number(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, of.q_inverse);
    }
    return all.build("RSA", is_private);
}

result<evp_key> make_ec(std::string_view curve, bytes_view point, bytes_view scalar) {
    auto const found = std::ranges::find(curves, curve, &curve_name::ssh);
    if (found == std::end(curves)) return no_key("an elliptic curve that ssh does not use");
    if (point.size() != found->point_bytes || point.front() != std::byte{4} || scalar.size() > found->point_bytes)
        return no_key("these numbers are no elliptic-curve key");
    SCRATCHD_TRY(auto memory, secret::make(scalar.size()));
    parameters all(std::move(memory));
    all.text(OSSL_PKEY_PARAM_GROUP_NAME, found->openssl);
    all.octets(OSSL_PKEY_PARAM_PUB_KEY, point);
    if (!scalar.empty()) all.number(OSSL_PKEY_PARAM_PRIV_KEY, scalar);
    return all.build("EC", !scalar.empty());
}

result<evp_key> make_ed25519_private(bytes_view seed) {
    evp_key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), seed.size()), EVP_PKEY_free);
    if (!key) return no_key("not an Ed25519 seed of 32 bytes");
    return key;
}

result<evp_key> make_ed25519_public(bytes_view point) {
    evp_key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(point), point.size()), EVP_PKEY_free);
    if (!key) return no_key("not an Ed25519 point of 32 bytes");
    return key;
}

result<ssh_public> describe(evp_key const& key) {
    switch (EVP_PKEY_get_base_id(key.get())) {
    case EVP_PKEY_ED25519: return describe_ed25519(key);
    case EVP_PKEY_RSA: return describe_rsa(key);
    case EVP_PKEY_EC: return describe_ec(key);
    default: return no_key("a key that is not Ed25519, RSA or ECDSA");
    }
}

result<std::string> ssh_fingerprint(std::string_view blob) {
    SCRATCHD_TRY(auto const digest, sha256(blob));
    auto text = "SHA256:" + base64(digest);
    text.erase(text.find_last_not_of('=') + 1);
    return text;
}

}  // namespace scratchd
