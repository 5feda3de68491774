// Reads and writes past the page cache: what verifies a disk must not be answered from memory.
//
// Offsets and sizes are multiples of direct_block, which is a multiple of every sector size that disks have.
// Source: open(2), O_DIRECT.
#pragma once

#include "agent/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace scratchd {

inline constexpr std::size_t direct_block = 4096;

// Zeroed memory, aligned for O_DIRECT.
class direct_buffer {
public:
    explicit direct_buffer(std::size_t size);
    [[nodiscard]] std::span<std::byte> bytes() { return {data_.get(), size_}; }
    [[nodiscard]] std::span<std::byte const> bytes() const { return {data_.get(), size_}; }

private:
    struct aligned_delete {
        void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{direct_block}); }
    };
    std::unique_ptr<std::byte[], aligned_delete> data_;
    std::size_t size_;
};

// Fills `into` from `offset` of a descriptor opened with O_DIRECT; a short read is an error.
result<> read_at(int fd, std::uint64_t offset, std::span<std::byte> into);
result<> write_at(int fd, std::uint64_t offset, std::span<std::byte const> from);

}  // namespace scratchd
