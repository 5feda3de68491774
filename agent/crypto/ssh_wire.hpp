// The data types of the ssh protocols (RFC 4251, section 5), read without a copy and without a step past the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace scratchd {

using bytes_view = std::span<std::byte const>;

inline std::string_view as_text(bytes_view bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

// Reading past the end gives zeros and empty strings and is remembered: read all fields, then ask done().
class wire_reader {
public:
    explicit wire_reader(bytes_view from) : rest_(from) {}

    std::uint8_t byte();
    std::uint32_t u32();
    bytes_view string();
    std::string_view text() { return as_text(string()); }
    // A positive mpint as big-endian magnitude without leading zeros.
    bytes_view mpint();

    [[nodiscard]] bool has_failed() const { return failed_; }
    [[nodiscard]] bytes_view rest() const { return rest_; }
    // Everything was there, and nothing else.
    [[nodiscard]] bool done() const { return !failed_ && rest_.empty(); }

private:
    bytes_view take(std::size_t count);
    bytes_view rest_;
    bool failed_ = false;
};

// Writes public data: signatures, public keys, lists.
class wire_writer {
public:
    wire_writer& byte(std::uint8_t value);
    wire_writer& u32(std::uint32_t value);
    wire_writer& string(std::string_view value);
    // From a big-endian magnitude, with or without leading zeros.
    wire_writer& mpint(std::string_view magnitude);
    std::string take() { return std::move(out_); }

private:
    std::string out_;
};

}  // namespace scratchd
