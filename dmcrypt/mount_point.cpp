#include "dmcrypt/mount_point.hpp"

#include "agent/base/file.hpp"
#include "agent/base/mounts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <ranges>

namespace scratchd {
namespace {

constexpr unsigned long shutdown_ioctl = 0x8004587D;  // _IOR('X', 125, __u32), fs/ext4/ext4.h and fs/xfs/xfs_fs.h
constexpr std::uint32_t without_flush = 2;            // EXT4_GOING_FLAGS_NOLOGFLUSH, XFS_FSOP_GOING_FLAGS_NOLOGFLUSH

// Opens each part of the path without following links and demands that only root can change it.
result<unique_fd> walk(std::filesystem::path const& path) {
    SCRATCHD_TRY(auto at, open_file("/", O_PATH | O_DIRECTORY));
    for (auto const& part : path.relative_path()) {
        if (part == "..") return fail(errc::mount_point_unsafe, "the mount point has a part ..");
        int const next = ::openat(at.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) return fail_errno("open " + path.string(), errc::mount_point_unsafe);
        at.reset(next);
        struct stat st{};
        if (::fstat(next, &st) != 0) return fail_errno("stat " + path.string());
        if (!S_ISDIR(st.st_mode))
            return fail(errc::mount_point_unsafe,
                        fmt::format("{} in {} is not a folder", part.string(), path.string()));
        bool const sticky_root = (st.st_mode & S_ISVTX) != 0 && st.st_uid == 0;
        if (st.st_uid != 0 || ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky_root))
            return fail(errc::mount_point_unsafe,
                        fmt::format("{} in {} can be changed by others than root", part.string(), path.string()));
    }
    return at;
}

result<bool> is_mounted_on(std::filesystem::path const& target) {
    SCRATCHD_TRY(auto const mounts, read_mounts());
    return std::ranges::any_of(mounts, [&](auto const& m) { return m.target == target; });
}

}  // namespace

result<> prepare_mount_point(std::filesystem::path const& target) {
    if (!target.is_absolute() || target.relative_path().empty())
        return fail(errc::mount_point_unsafe, "the mount point must be an absolute path below /");
    if (::mkdir(target.c_str(), 0) != 0 && errno != EEXIST)
        return fail_errno("make " + target.string(), errc::mount_point_unsafe);
    SCRATCHD_TRY(auto const place, walk(target));
    SCRATCHD_TRY(auto const mounted, is_mounted_on(target));
    if (mounted) return fail(errc::mount_point_unsafe, "something else is mounted on " + target.string());
    SCRATCHD_TRY(auto const bare, open_file(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    int flags = 0;
    bool const has_flags = ::ioctl(bare.get(), FS_IOC_GETFLAGS, &flags) == 0;
    if (has_flags && (flags & FS_IMMUTABLE_FL) != 0) return {};
    if (::fchmod(bare.get(), 0) != 0) return fail_errno("chmod " + target.string());
    flags |= FS_IMMUTABLE_FL;
    if (has_flags) (void)::ioctl(bare.get(), FS_IOC_SETFLAGS, &flags);  // not every file system has it; 0000 remains
    return {};
}

result<unique_fd> open_mounted(std::filesystem::path const& target, dev_t device) {
    SCRATCHD_TRY(auto root, open_file(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    struct stat st{};
    if (::fstat(root.get(), &st) != 0) return fail_errno("stat " + target.string());
    if (st.st_dev != device)
        return fail(errc::table_mismatch, fmt::format("{} is device {}, not {}", target.string(),
                                                      device_text(st.st_dev), device_text(device)));
    return root;
}

result<unique_fd> mount_scratch(std::filesystem::path const& source, dev_t device, std::filesystem::path const& target,
                                fs_options const& options) {
    bool const ext4 = options.type == fs_type::ext4;
    if (::mount(source.c_str(), target.c_str(), ext4 ? "ext4" : "xfs", MS_NODEV | MS_NOSUID,
                ext4 ? "noinit_itable" : "") != 0)
        return fail_errno(fmt::format("mount {} on {}", source.string(), target.string()), errc::mount_failed);
    SCRATCHD_TRY(auto root, open_mounted(target, device));
    SCRATCHD_TRY(auto const seen, read_mounts("/proc/1/mountinfo"));
    if (std::ranges::none_of(seen, [&](auto const& m) { return m.device == device && m.target == target; }))
        return fail(errc::mount_invisible, "PID 1 does not see the mount on " + target.string());
    if (::fchmod(root.get(), 0711) != 0) return fail_errno("chmod " + target.string());
    (void)::unlinkat(root.get(), "lost+found", AT_REMOVEDIR);  // ext4 only; no check ever runs on this file system
    return root;
}

result<> check_mount_namespace() {
    std::error_code ec;
    auto const own = std::filesystem::read_symlink("/proc/self/ns/mnt", ec);
    auto const init = ec ? std::filesystem::path{} : std::filesystem::read_symlink("/proc/1/ns/mnt", ec);
    if (ec) return fail(errc::mount_invisible, "compare the mount namespace with PID 1's", ec.value());
    if (own != init)
        return fail(errc::mount_invisible,
                    fmt::format("scratchd runs in {}, PID 1 in {}", own.string(), init.string()));
    return {};
}

result<> detach_everywhere(dev_t device) {
    SCRATCHD_TRY(auto const mounts, read_mounts());
    for (auto const& m : mounts | std::views::reverse) {
        if (m.device != device) continue;
        // umount(2) takes the topmost mount of a path: it must be ours.
        auto const top = std::ranges::find(mounts | std::views::reverse, m.target, &mount_entry::target);
        if (top->device != device)
            return fail(errc::device_held, fmt::format("{} is mounted over scratch on {}", top->source, m.target));
        if (::umount2(m.target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return fail_errno("unmount " + m.target);
    }
    return {};
}

result<> shut_down(int root_fd, dev_t device) {
    struct stat st{};
    if (::fstat(root_fd, &st) != 0) return fail_errno("stat the scratch root");
    if (device == 0 || st.st_dev != device)
        return fail(errc::internal, fmt::format("refusing to shut down device {}: scratch is {}",
                                                device_text(st.st_dev), device_text(device)));
    std::uint32_t how = without_flush;
    if (::ioctl(root_fd, shutdown_ioctl, &how) != 0) return fail_errno("shut the file system down");
    return {};
}

}  // namespace scratchd
