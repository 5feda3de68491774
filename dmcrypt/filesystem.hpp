// The ephemeral file system of one generation.
//
// It never outlives its key, so it has no journal, its metadata is packed and lazily initialised, and mkfs discards
// nothing: making it takes milliseconds at any size.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace scratchd {

enum class fs_type : std::uint8_t { ext4, xfs };

struct fs_options {
    fs_type type = fs_type::ext4;
    std::uint32_t bytes_per_inode = 65536;  // ext4 only
};

struct mkfs_command {
    std::filesystem::path program;
    std::vector<std::string> arguments;
};

// Pure: what would be run.
mkfs_command plan_mkfs(fs_options const& options, std::filesystem::path const& device);

// A missing program is program_missing, one that hangs timed_out, one that fails mkfs_failed with its words.
result<> make_filesystem(fs_options const& options, std::filesystem::path const& device, deadline until);

// Zeroes the first and the last MiB through the mapping: what random bytes decrypt to sometimes looks like a file
// system or a RAID member (systemd issue 37328).
result<> zero_ends(int mapping_fd, std::uint64_t size_bytes);

}  // namespace scratchd
