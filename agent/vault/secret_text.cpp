#include "agent/vault/secret_text.hpp"

#include <algorithm>
#include <cstring>

namespace scratchd::vault {
namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF";

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

std::size_t encoded_size(std::string_view text) {
    auto const plain = static_cast<std::size_t>(std::ranges::count_if(text, is_unreserved));
    return plain + 3 * (text.size() - plain);
}

// Writes into a secret that is large enough.
class pen {
public:
    explicit pen(secret& into) : at_(reinterpret_cast<char*>(into.bytes().data())) {}
    void plain(std::string_view text) {
        if (text.empty()) return;
        std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
    }
    void encoded(std::string_view text) {
        for (char const c : text) {
            if (is_unreserved(c)) {
                *at_++ = c;
                continue;
            }
            auto const byte = static_cast<unsigned char>(c);
            *at_++ = '%';
            *at_++ = hex_digits[byte >> 4U];
            *at_++ = hex_digits[byte & 15U];
        }
    }

private:
    char* at_;
};

}  // namespace

std::string_view text_of(secret const& from) noexcept {
    return {reinterpret_cast<char const*>(from.bytes().data()), from.size()};
}

result<secret> joined(std::initializer_list<std::string_view> parts) {
    std::size_t size = 0;
    for (auto const part : parts) size += part.size();
    SCRATCHD_TRY(auto out, secret::make(size));
    pen write(out);
    for (auto const part : parts) write.plain(part);
    return out;
}

result<secret> enlarged(secret old, std::size_t size) {
    SCRATCHD_TRY(auto out, secret::make(std::max(size, old.size())));
    pen(out).plain(text_of(old));
    return out;
}

void trim_newline(secret& from) noexcept {
    auto text = text_of(from);
    if (!text.ends_with('\n')) return;
    text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    from.truncate(text.size());
}

result<secret> form_body(std::span<form_field const> fields) {
    std::size_t size = 0;
    for (auto const& field : fields) size += 2 + encoded_size(field.name) + encoded_size(field.value);
    SCRATCHD_TRY(auto out, secret::make(size == 0 ? 0 : size - 1));
    pen write(out);
    for (auto const& field : fields) {
        if (&field != fields.data()) write.plain("&");
        write.encoded(field.name);
        write.plain("=");
        write.encoded(field.value);
    }
    return out;
}

bool is_header_safe(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 16000 &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

}  // namespace scratchd::vault
