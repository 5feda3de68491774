#include "agent/ipc/frame_buffer.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>

namespace scratchd::ipc {
namespace {

constexpr std::size_t at_rest = 4096;

}  // namespace

std::array<std::byte, frame_header_bytes> frame_header(std::size_t size) {
    auto const octet = [size](unsigned shift) { return static_cast<std::byte>(size >> shift & 0xffU); };
    return {octet(24), octet(16), octet(8), octet(0)};
}

std::size_t payload_bytes(std::span<std::byte const, frame_header_bytes> header) {
    std::size_t size = 0;
    for (auto const b : header) size = size << 8U | std::to_integer<std::size_t>(b);
    return size;
}

std::size_t frame_buffer::announced() const {
    return payload_bytes(memory_.bytes().first<frame_header_bytes>());
}

result<> frame_buffer::check_announced() const {
    if (used_ < frame_header_bytes) return {};
    if (auto const size = announced(); size == 0 || size > largest_)
        return fail(errc::bad_request, fmt::format("a frame of {} bytes, 1 to {} are allowed", size, largest_));
    return {};
}

std::size_t frame_buffer::growth() const {
    auto const wanted = std::max(at_rest, 2 * capacity());
    return std::min(wanted, largest_ + frame_header_bytes) - std::min(capacity(), largest_ + frame_header_bytes);
}

result<> frame_buffer::grow() {
    SCRATCHD_TRY(auto larger, secret::make(capacity() + growth()));
    if (used_ > 0) std::memcpy(larger.bytes().data(), memory_.bytes().data(), used_);
    memory_ = std::move(larger);
    return {};
}

result<> frame_buffer::added(std::size_t count) {
    used_ += count;
    return check_announced();
}

std::optional<std::span<std::byte const>> frame_buffer::frame() const {
    if (used_ < frame_header_bytes || !check_announced() || used_ - frame_header_bytes < announced())
        return std::nullopt;
    return memory_.bytes().subspan(frame_header_bytes, announced());
}

void frame_buffer::pop() {
    auto const whole = frame_header_bytes + announced();
    auto const bytes = memory_.bytes();
    std::memmove(bytes.data(), bytes.data() + whole, used_ - whole);
    explicit_bzero(bytes.data() + used_ - whole, whole);
    used_ -= whole;
    if (used_ == 0 && capacity() > at_rest) memory_.clear();
}

}  // namespace scratchd::ipc
