// Proof that data goes through the cipher: a known block written through the mapping, looked for on the raw disks.
#pragma once

#include "agent/base/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace scratchd {

struct canary_place {
    int raw_fd = -1;                  // the disk, opened with O_DIRECT
    std::uint64_t raw_offset = 0;     // bytes
    std::uint64_t mapped_offset = 0;  // bytes; the same block, seen through the mapping
};

// Writes the canary at every place, reads the raw disks and demands ciphertext: not the canary, not what stood there
// before, no 16-byte block twice. Returns the hash of all of it: the plaintext is always the same, so an equal hash in
// two generations means an equal key. What fails is not_encrypting.
result<std::string> check_canary(int mapping_fd, std::vector<canary_place> const& places);

}  // namespace scratchd
