// Bytes that must not leave this process's memory: keys, tokens, passwords.
//
// Own pages, locked against swap, left out of core dumps, zero in a forked child, wiped before they are freed. There
// is no formatter, no operator<<, no way to a std::string. Sources: mlock(2), madvise(2), explicit_bzero(3).
#pragma once

#include "agent/base/error.hpp"

#include <cstddef>
#include <span>

namespace scratchd {

class secret {
public:
    secret() noexcept = default;
    secret(secret&& other) noexcept;
    secret& operator=(secret&& other) noexcept;
    secret(secret const&) = delete;
    secret& operator=(secret const&) = delete;
    ~secret();

    // `size` bytes of zeros. Fails with no_memory when the pages cannot be locked: unlocked secrets are refused.
    static result<secret> make(std::size_t size);

    [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
    [[nodiscard]] std::span<std::byte const> bytes() const noexcept { return {data_, size_}; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    // Makes it shorter; what is cut off is wiped.
    void truncate(std::size_t size) noexcept;
    // Wipes and frees at once.
    void clear() noexcept;

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t mapped_ = 0;
};

// Keeps this process's memory out of core dumps and away from ptrace and swap; both daemons call it first.
result<> protect_process_memory();

}  // namespace scratchd
