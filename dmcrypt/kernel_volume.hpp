// The volume on real disks: dm-striped below, dm-crypt above, one file system.
#pragma once

#include "dmcrypt/disk.hpp"
#include "dmcrypt/filesystem.hpp"
#include "dmcrypt/volume.hpp"

#include <filesystem>
#include <memory>

namespace scratchd {

struct volume_settings {
    std::filesystem::path mount;
    fs_options filesystem;
    std::vector<disk_facts> disks;  // already examined and allowed; identities are checked again before each use
    std::string boot_id;
};

std::unique_ptr<volume> make_kernel_volume(volume_settings settings);

}  // namespace scratchd
