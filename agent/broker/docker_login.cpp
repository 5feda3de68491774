#include "agent/broker/docker_login.hpp"

#include <cstring>
#include <span>

namespace scratchd::broker {
namespace {

// Counts what is written to it, and keeps it once it has memory.
class sink {
public:
    explicit sink(std::span<std::byte> into = {}) : into_(into) {}

    void put(std::string_view text) {
        if (!into_.empty()) std::memcpy(into_.data() + size_, text.data(), text.size());
        size_ += text.size();
    }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::span<std::byte> into_;
    std::size_t size_ = 0;
};

// RFC 8259, section 7.
void put_string(sink& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out.put("\"");
    for (char const c : text) {
        auto const value = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out.put("\\");
        if (value < 0x20) {
            out.put("\\u00");
            out.put(digits.substr(value >> 4U, 1));
            out.put(digits.substr(value & 0xfU, 1));
        } else {
            out.put({&c, 1});
        }
    }
    out.put("\"");
}

// How many bytes follow the first of a character, by RFC 3629; 4: it cannot be a first one.
unsigned following(unsigned char first) {
    if (first < 0x80) return 0;
    if (first >= 0xc2 && first < 0xe0) return 1;
    if (first >= 0xe0 && first < 0xf0) return 2;
    return first >= 0xf0 && first < 0xf5 ? 3 : 4;
}

bool is_utf8(std::string_view text) {
    auto const at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        auto const more = following(at(i));
        if (more > 3 || text.size() - i <= more) return false;
        for (unsigned k = 1; k <= more; ++k)
            if ((at(i + k) & 0xc0U) != 0x80) return false;
        // Too long a form, a surrogate, or past the last character.
        if (more == 2 && ((at(i) == 0xe0 && at(i + 1) < 0xa0) || (at(i) == 0xed && at(i + 1) > 0x9f))) return false;
        if (more == 3 && ((at(i) == 0xf0 && at(i + 1) < 0x90) || (at(i) == 0xf4 && at(i + 1) > 0x8f))) return false;
        i += more + 1;
    }
    return true;
}

void put_login(sink& out, std::string_view server, std::string_view username, std::string_view password) {
    out.put(R"({"ServerURL":)");
    put_string(out, server);
    out.put(R"(,"Username":)");
    put_string(out, username);
    out.put(R"(,"Secret":)");
    put_string(out, password);
    out.put("}");
}

}  // namespace

result<secret> docker_login(std::string_view server, std::string_view username, secret const& from) {
    std::string_view password(reinterpret_cast<char const*>(from.bytes().data()), from.size());
    if (password.ends_with('\n')) password.remove_suffix(1);
    if (password.ends_with('\r')) password.remove_suffix(1);
    if (!is_utf8(server) || !is_utf8(username) || !is_utf8(password))
        return fail(errc::credential_format, "a login that is not UTF-8 text");
    sink counted;
    put_login(counted, server, username, password);
    SCRATCHD_TRY(auto out, secret::make(counted.size()));
    sink filled(out.bytes());
    put_login(filled, server, username, password);
    return out;
}

}  // namespace scratchd::broker
