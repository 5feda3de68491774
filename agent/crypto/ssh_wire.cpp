#include "agent/crypto/ssh_wire.hpp"

#include <algorithm>

namespace scratchd {

bytes_view wire_reader::take(std::size_t count) {
    if (failed_ || rest_.size() < count) {
        failed_ = true;
        rest_ = {};
        return {};
    }
    auto const out = rest_.first(count);
    rest_ = rest_.subspan(count);
    return out;
}

std::uint8_t wire_reader::byte() {
    auto const one = take(1);
    return one.empty() ? 0 : std::to_integer<std::uint8_t>(one.front());
}

std::uint32_t wire_reader::u32() {
    std::uint32_t value = 0;
    for (auto const b : take(4)) value = value << 8U | std::to_integer<std::uint32_t>(b);
    return value;
}

bytes_view wire_reader::string() {
    return take(u32());
}

bytes_view wire_reader::mpint() {
    auto value = string();
    // A set top bit means negative: no number here is.
    if (!value.empty() && (value.front() & std::byte{0x80}) != std::byte{0}) failed_ = true;
    while (!value.empty() && value.front() == std::byte{0}) value = value.subspan(1);
    return failed_ ? bytes_view{} : value;
}

wire_writer& wire_writer::byte(std::uint8_t value) {
    out_ += static_cast<char>(value);
    return *this;
}

wire_writer& wire_writer::u32(std::uint32_t value) {
    for (unsigned const shift : {24U, 16U, 8U, 0U}) out_ += static_cast<char>(value >> shift & 0xffU);
    return *this;
}

wire_writer& wire_writer::string(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    out_ += value;
    return *this;
}

wire_writer& wire_writer::mpint(std::string_view magnitude) {
    magnitude.remove_prefix(std::min(magnitude.find_first_not_of('\0'), magnitude.size()));
    bool const needs_zero = !magnitude.empty() && (static_cast<unsigned char>(magnitude.front()) & 0x80U) != 0;
    u32(static_cast<std::uint32_t>(magnitude.size() + (needs_zero ? 1 : 0)));
    if (needs_zero) out_ += '\0';
    out_ += magnitude;
    return *this;
}

}  // namespace scratchd
