// Overwrites a whole disk with zeros.
#pragma once

#include "agent/base/error.hpp"

#include <sys/types.h>
#include <cstdint>
#include <filesystem>
#include <functional>

namespace scratchd {

// Opens the disk exclusively, checks that it is `number`, and zeroes all of it (BLKZEROOUT: by the device's own
// command where it has one, by writes otherwise). `progress` hears how many bytes are done, every 64 MiB.
result<> erase_zero(std::filesystem::path const& device, dev_t number,
                    std::function<void(std::uint64_t)> const& progress);

}  // namespace scratchd
