// Puts frames together from the bytes of a stream: uint32 length, big endian, then that many bytes.
//
// Holds one page at rest and grows as bytes arrive, not as they are announced. In locked memory, wiped when taken out.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace scratchd::ipc {

inline constexpr std::size_t frame_header_bytes = 4;
std::array<std::byte, frame_header_bytes> frame_header(std::size_t payload_bytes);
std::size_t payload_bytes(std::span<std::byte const, frame_header_bytes> header);

class frame_buffer {
public:
    explicit frame_buffer(std::size_t largest_payload) : largest_(largest_payload) {}

    // Where the next bytes go. Empty: grow() first.
    [[nodiscard]] std::span<std::byte> space() { return memory_.bytes().subspan(used_); }
    // How much more memory grow() takes.
    [[nodiscard]] std::size_t growth() const;
    result<> grow();
    // `count` bytes were put into space(). bad_request: the frame is empty or longer than allowed; the stream is lost.
    result<> added(std::size_t count);

    // The payload of the first frame when it is there whole; valid until the next call of another member.
    [[nodiscard]] std::optional<std::span<std::byte const>> frame() const;
    void pop();
    // Bytes of a frame are there.
    [[nodiscard]] bool has_started() const { return used_ > 0; }
    [[nodiscard]] std::size_t capacity() const { return memory_.size(); }

private:
    [[nodiscard]] std::size_t announced() const;
    [[nodiscard]] result<> check_announced() const;

    std::size_t largest_;
    secret memory_;
    std::size_t used_ = 0;
};

}  // namespace scratchd::ipc
