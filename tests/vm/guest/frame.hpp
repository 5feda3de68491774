// The control channel between a test on the host and the agent in a guest: length-prefixed frames on a byte stream.
//
// A frame is {u32 length, u8 type, u32 id} in little endian, then `length` bytes of payload. The host chooses the id
// of an exec; every answer about that process carries the same id. tests/vm/channel.py is the other end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace guest {

enum class frame : std::uint8_t {
    exec = 'X',    // host: u32 argc, argc strings, u32 envc, envc strings, string cwd (a string is u32 length + bytes)
    input = 'I',   // host: bytes for the standard input of process `id`; empty closes it
    signal = 'K',  // host: u32 signal number for process `id`
    reseed = 'S',  // host: i64 seconds, i64 nanoseconds, then entropy for the kernel's random generator
    out = 'O',     // guest: bytes of standard output
    err = 'E',     // guest: bytes of standard error
    result = 'R',  // guest: i32 exit code, or minus the signal number
    ack = 'A',     // guest: that many bytes (in place of an id) were read; a terminal drops what it cannot hold
    hello = 'B',   // host: are you there; guest: the agent is up
};

constexpr std::size_t header_bytes = 9;
constexpr std::size_t largest_payload = 16U << 20U;

struct message {
    frame type{};
    std::uint32_t id{};
    std::string payload;
};

inline std::string encode(frame type, std::uint32_t id, std::string_view payload) {
    auto const length = static_cast<std::uint32_t>(payload.size());
    std::string bytes(header_bytes, '\0');
    std::memcpy(bytes.data(), &length, 4);
    bytes[4] = static_cast<char>(type);
    std::memcpy(bytes.data() + 5, &id, 4);
    return bytes.append(payload);
}

// Reads numbers and strings off a payload; running past the end sets `bad` and yields zeros.
struct reader {
    std::string_view left;
    bool bad = false;

    template <class T>
    T number() {
        T value{};
        if (left.size() < sizeof value) {
            bad = true;
            return value;
        }
        std::memcpy(&value, left.data(), sizeof value);
        left.remove_prefix(sizeof value);
        return value;
    }

    std::string text() {
        auto const length = number<std::uint32_t>();
        if (bad || left.size() < length) {
            bad = true;
            return {};
        }
        std::string value(left.substr(0, length));
        left.remove_prefix(length);
        return value;
    }

    std::vector<std::string> list() {
        std::vector<std::string> all;
        for (auto count = number<std::uint32_t>(); count > 0 && !bad; --count) all.push_back(text());
        return all;
    }
};

}  // namespace guest
