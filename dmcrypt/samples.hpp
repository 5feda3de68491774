// Samples of a volume's decrypted view: proof that the next key reads nothing of what the last one wrote.
#pragma once

#include "agent/base/error.hpp"
#include "agent/crypto/digest.hpp"

#include <cstddef>
#include <cstdint>
#include <map>

namespace scratchd {

// Byte offset of a 4 KiB block → its hash under a salt that is never stored. The plaintext is not kept.
struct volume_samples {
    std::map<std::uint64_t, digest256> blocks;
    digest256 salt{};
};

inline constexpr std::size_t sample_count = 256;

// Reads `sample_count` blocks (fewer on a small volume) at random places, the first and the last always.
result<volume_samples> take_samples(int mapping_fd, std::uint64_t size_bytes);

// Reads the same blocks through another mapping; returns how many are equal. Anything but 0 means the key did not die.
result<std::size_t> count_equal(int mapping_fd, volume_samples const& samples);

}  // namespace scratchd
