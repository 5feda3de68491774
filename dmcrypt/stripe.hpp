// Several disks as one device: dm-striped, which keeps nothing on the disks.
#pragma once

#include "agent/base/error.hpp"
#include "dmcrypt/devmapper.hpp"
#include "dmcrypt/disk.hpp"

#include <cstdint>
#include <vector>

namespace scratchd {

// 256 KiB: a 1 MiB request meets four disks, a 4 KiB one a single disk.
inline constexpr std::uint64_t stripe_chunk_sectors = 512;

// Pure: each disk gives as much as the smallest has, in whole chunks.
result<dm::target> plan_stripe(std::vector<disk_facts> const& disks);

}  // namespace scratchd
