#include "agent/crypto/secret_base64.hpp"

#include <cstdint>
#include <optional>

namespace scratchd {
namespace {

constexpr std::string_view standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view for_urls = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

result<secret> decode(std::string_view text, std::string_view alphabet) {
    if (text.size() % 4 == 1) return fail(errc::bad_request, "not base64");
    SCRATCHD_TRY(auto out, secret::make(text.size() * 3 / 4));
    std::uint32_t bits = 0;
    unsigned held = 0;
    std::size_t used = 0;
    for (char const c : text) {
        auto const value = alphabet.find(c);
        if (value == std::string_view::npos) return fail(errc::bad_request, "not base64");
        bits = (bits << 6U | static_cast<std::uint32_t>(value)) & 0xffffU;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out.bytes()[used++] = static_cast<std::byte>(bits >> held & 0xffU);
    }
    if ((bits & ((1U << held) - 1)) != 0) return fail(errc::bad_request, "not base64");
    return out;
}

// Calls put(character) for each, without padding.
template <class Put>
void encode(std::span<std::byte const> data, Put put) {
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (auto const byte : data) {
        bits = (bits << 8U | std::to_integer<std::uint32_t>(byte)) & 0xffffU;
        for (held += 8; held >= 6; held -= 6) put(for_urls[bits >> (held - 6) & 63U]);
    }
    if (held > 0) put(for_urls[bits << (6 - held) & 63U]);
}

}  // namespace

result<secret> base64_decode_secret(std::string_view text) {
    auto const padding = text.ends_with("==") ? 2U : text.ends_with('=') ? 1U : 0U;
    if (text.size() % 4 != 0) return fail(errc::bad_request, "not base64");
    return decode(text.substr(0, text.size() - padding), standard);
}

result<secret> base64url_decode_secret(std::string_view text) {
    return decode(text, for_urls);
}

std::string base64url(std::span<std::byte const> data) {
    std::string out;
    encode(data, [&out](char c) { out += c; });
    return out;
}

result<secret> base64url_secret(std::span<std::byte const> data) {
    SCRATCHD_TRY(auto out, secret::make((data.size() * 4 + 2) / 3));
    std::size_t used = 0;
    encode(data, [&](char c) { out.bytes()[used++] = static_cast<std::byte>(c); });
    return out;
}

}  // namespace scratchd
