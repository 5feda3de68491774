// What is mounted, read from /proc/PID/mountinfo by libmount, and never by stat(2): a stopped FUSE server blocks that
// for ever. Format: proc(5), "/proc/pid/mountinfo".
#pragma once

#include "agent/base/error.hpp"

#include <sys/types.h>
#include <filesystem>
#include <string>
#include <vector>

namespace scratchd {

struct mount_entry {
    int id = 0;
    int parent = 0;
    dev_t device = 0;    // st_dev of the files on it
    std::string root;    // the part of the file system that is mounted
    std::string target;  // mount point, as that process sees it
    std::string type;    // ext4, fuse.sshfs, overlay, ...
    std::string source;
    std::string fs_options;  // options of the superblock: upperdir= and lowerdir= of an overlay
};

// In mount order, parents before children.
result<std::vector<mount_entry>> read_mounts(std::filesystem::path const& mountinfo = "/proc/self/mountinfo");

// "253:1", as in mountinfo and /sys/dev/block.
std::string device_text(dev_t device);

}  // namespace scratchd
