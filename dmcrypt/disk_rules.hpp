// Whether a disk may become scratch. Pure: facts in, a reason out.
#pragma once

#include "dmcrypt/disk.hpp"

#include <optional>

namespace scratchd {

// How much a disk that scratchd has never had may hold.
enum class adoption : std::uint8_t {
    blank,      // nothing at all
    temporary,  // also the empty file system a cloud puts on its temporary disk
    erase,      // anything: it is lost
};

struct refusal {
    errc code = errc::internal;
    std::string why;
};

// A volume needs room for a file system.
inline constexpr std::uint64_t least_disk_bytes = 64ULL << 20U;

// What keeps a disk from being touched whatever is on it: in use, read-only, a partition, below the running system.
std::optional<refusal> refuse_use(disk_facts const& disk);

// What keeps a disk that was never ours from being taken: `allowed` is the operator's word.
std::optional<refusal> refuse_adoption(disk_facts const& disk, adoption allowed);

}  // namespace scratchd
