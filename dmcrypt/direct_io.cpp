#include "dmcrypt/direct_io.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <new>

namespace scratchd {

direct_buffer::direct_buffer(std::size_t size)
    : data_(static_cast<std::byte*>(::operator new[](size, std::align_val_t{direct_block}))), size_(size) {
    std::memset(data_.get(), 0, size);
}

result<> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) {
    while (!into.empty()) {
        auto const n = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(fmt::format("read {} bytes at {}", into.size(), offset));
        if (n == 0) return fail(errc::io, fmt::format("the device ends at {}", offset));
        into = into.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

result<> write_at(int fd, std::uint64_t offset, std::span<std::byte const> from) {
    while (!from.empty()) {
        auto const n = ::pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(fmt::format("write {} bytes at {}", from.size(), offset));
        from = from.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

}  // namespace scratchd
