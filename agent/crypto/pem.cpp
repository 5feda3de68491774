#include "agent/crypto/pem.hpp"

#include "agent/crypto/ssh_wire.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace scratchd {
namespace {

constexpr std::string_view begin_mark = "-----BEGIN ";
constexpr std::string_view end_mark = "-----END ";
constexpr std::string_view dashes = "-----";
constexpr std::size_t longest_label = 40;

constexpr auto values = [] {
    std::array<std::int8_t, 256> all{};
    all.fill(-1);
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        all[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
    return all;
}();

bool is_blank(char c) {
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

// Base64 with line ends between.
result<secret> decode(std::string_view text) {
    SCRATCHD_TRY(auto out, secret::make(text.size() / 4 * 3 + 3));
    std::size_t size = 0;
    std::size_t padding = 0;
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (char const c : text) {
        if (is_blank(c)) continue;
        auto const value = values[static_cast<unsigned char>(c)];
        if (c == '=' && padding < 2) ++padding;
        else if (value < 0 || padding > 0) return fail(errc::credential_format, "the private key is not base64");
        if (value < 0) continue;
        held = (held << 6U | static_cast<std::uint32_t>(value)) & 0xffffU;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out.bytes()[size++] = static_cast<std::byte>(held >> bits & 0xffU);
    }
    // What is left over of the last group must be the padding's share.
    if (bits != 2 * padding) return fail(errc::credential_format, "the private key's base64 is cut off");
    out.truncate(size);
    return out;
}

struct framed {
    std::string_view label;
    std::string_view body;
};

// The next block of `text`, which is shortened past it.
result<framed> next_block(std::string_view& text) {
    auto const none = [] { return fail(errc::credential_format, "there is no private key in PEM"); };
    auto const start = text.find(begin_mark);
    if (start == std::string_view::npos) return none();
    text.remove_prefix(start + begin_mark.size());
    auto const label_end = text.substr(0, longest_label + dashes.size()).find(dashes);
    if (label_end == std::string_view::npos) return none();
    auto const label = text.substr(0, label_end);
    text.remove_prefix(label.size() + dashes.size());
    auto const stop = text.find(end_mark);
    if (stop == std::string_view::npos || !text.substr(stop + end_mark.size()).starts_with(label) ||
        !text.substr(stop + end_mark.size() + label.size()).starts_with(dashes))
        return fail(errc::credential_format, "the private key in PEM has no end");
    framed const found{label, text.substr(0, stop)};
    text.remove_prefix(stop);
    return found;
}

}  // namespace

result<pem_block> read_private_pem(secret const& from) {
    auto text = as_text(from.bytes());
    for (;;) {
        SCRATCHD_TRY(auto const found, next_block(text));
        if (!found.label.ends_with("PRIVATE KEY")) continue;  // "EC PARAMETERS", a certificate
        // A colon stands only in the headers of RFC 1421, which only encrypted keys have.
        if (found.label.starts_with("ENCRYPTED") || found.body.contains(':'))
            return fail(errc::credential_format, "the private key is encrypted with a passphrase: store it without");
        SCRATCHD_TRY(auto body, decode(found.body));
        return pem_block{std::string(found.label), std::move(body)};
    }
}

}  // namespace scratchd
