// The folder scratch is mounted on, and the mount itself.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "dmcrypt/filesystem.hpp"

#include <sys/types.h>
#include <filesystem>

namespace scratchd {

// Makes the bare folder if it is missing and closes it: root, mode 0000, immutable where the file system can. With
// nothing mounted, a job cannot write to the disk below. Refuses (mount_point_unsafe) a path with a symbolic link or a
// part that others than root may write.
result<> prepare_mount_point(std::filesystem::path const& target);

// Mounts nodev and nosuid, proves that the file system at `target` is `device` and that PID 1 sees it, and returns a
// descriptor of its root folder, mode 0711.
result<unique_fd> mount_scratch(std::filesystem::path const& source, dev_t device, std::filesystem::path const& target,
                                fs_options const& options);

// A descriptor of the root of what is mounted at `target`; table_mismatch unless it is `device`.
result<unique_fd> open_mounted(std::filesystem::path const& target, dev_t device);

// Whether this process's mounts are seen by PID 1: with a mount namespace of its own, scratchd would mount for itself
// alone and jobs would write to the disk below (threat model F6).
result<> check_mount_namespace();

// Takes every mount of `device` out of this namespace without waiting for what is open on it. Only after shut_down.
result<> detach_everywhere(dev_t device);

// Ends a file system at once, without writing anything back: whoever has a file open on it, in whatever namespace,
// gets EIO from now on. Checks first that `root_fd` lies on `device`: the wrong descriptor would take down another
// file system (threat model F5). EXT4_IOC_SHUTDOWN, which is also XFS_IOC_GOINGDOWN.
result<> shut_down(int root_fd, dev_t device);

}  // namespace scratchd
