#include "agent/crypto/digest.hpp"

#include "agent/base/handle.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

namespace scratchd {
namespace {

unsigned char const* raw(std::span<std::byte const> data) {
    return reinterpret_cast<unsigned char const*>(data.data());
}
unsigned char* writable(std::span<std::byte> data) {
    return reinterpret_cast<unsigned char*>(data.data());
}

OSSL_PARAM octets(char const* name, std::span<std::byte const> data) {
    static std::byte nothing{};  // OpenSSL refuses a null pointer even for no bytes
    auto* const at = data.empty() ? &nothing : const_cast<std::byte*>(data.data());
    return OSSL_PARAM_construct_octet_string(name, at, data.size());
}

}  // namespace

result<digest256> sha256(std::span<std::byte const> data) {
    digest256 out{};
    if (EVP_Digest(data.data(), data.size(), writable(out), nullptr, EVP_sha256(), nullptr) != 1)
        return fail(errc::internal, "EVP_Digest SHA-256");
    return out;
}

result<digest256> sha256(std::string_view data) {
    return sha256(as_bytes(data));
}

result<digest256> hmac_sha256(std::span<std::byte const> key, std::span<std::byte const> data) {
    digest256 out{};
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(data), data.size(), writable(out), nullptr) ==
        nullptr)
        return fail(errc::internal, "HMAC SHA-256");
    return out;
}

result<digest256> hmac_sha256(std::span<std::byte const> key, std::string_view data) {
    return hmac_sha256(key, as_bytes(data));
}

result<secret> hkdf_sha512(std::span<std::byte const> key, std::span<std::byte const> salt, std::string_view info,
                           std::size_t size) {
    SCRATCHD_TRY(auto out, secret::make(size));
    c_ptr<EVP_KDF, EVP_KDF_free> const kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    c_ptr<EVP_KDF_CTX, EVP_KDF_CTX_free> const context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    char digest[] = "SHA512";
    OSSL_PARAM const parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                     octets(OSSL_KDF_PARAM_KEY, key), octets(OSSL_KDF_PARAM_SALT, salt),
                                     octets(OSSL_KDF_PARAM_INFO, as_bytes(info)), OSSL_PARAM_construct_end()};
    if (!context || EVP_KDF_derive(context.get(), writable(out.bytes()), size, parameters) != 1)
        return fail(errc::internal, "HKDF SHA-512");
    return out;
}

std::string hex(std::span<std::byte const> data) {
    std::string out;
    for (auto const b : data) out += fmt::format("{:02x}", static_cast<unsigned>(b));
    return out;
}

std::string base64(std::span<std::byte const> data) {
    std::string out(4 * ((data.size() + 2) / 3), '\0');
    (void)EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(data), static_cast<int>(data.size()));
    return out;
}

result<std::string> base64_decode(std::string_view text) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    auto const padding = text.ends_with("==") ? 2U : text.ends_with('=') ? 1U : 0U;
    if (text.size() % 4 != 0 ||
        text.substr(0, text.size() - padding).find_first_not_of(alphabet) != std::string_view::npos)
        return fail(errc::bad_request, "not base64");
    std::string out(text.size() / 4 * 3, '\0');
    if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<unsigned char const*>(text.data()), static_cast<int>(text.size())) < 0)
        return fail(errc::bad_request, "not base64");
    out.resize(out.size() - padding);
    return out;
}

}  // namespace scratchd
