#include "cleanup/remove_tree.hpp"

#include "agent/base/handle.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cerrno>
#include <cstring>
#include <vector>

namespace scratchd {
namespace {

using dir_ptr = c_ptr<DIR, closedir>;

result<dir_ptr> open_beneath(int parent, std::string const& name) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    int const fd = static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how));
    if (fd < 0) return fail_errno("open " + name);
    dir_ptr folder(::fdopendir(fd));
    if (!folder) return fail_errno("read " + name);
    return folder;
}

// chattr +i or +a keeps even root from removing: take it off a folder before its entries go.
void make_mutable(int fd) {
    int flags = 0;
    if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0) return;
    flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    (void)::ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

result<> unlink_entry(int folder, std::string const& name, int flag) {
    if (::unlinkat(folder, name.c_str(), flag) == 0 || errno == ENOENT) return {};
    if (errno == EPERM) {
        unique_fd const file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (file) make_mutable(file.get());
        if (::unlinkat(folder, name.c_str(), flag) == 0) return {};
    }
    return fail_errno("remove " + name);
}

}  // namespace

result<std::size_t> remove_tree(int parent_fd, std::string const& name, deadline until) {
    struct level {
        dir_ptr folder;
        std::string name;
    };
    auto top = open_beneath(parent_fd, name);
    if (!top && top.error().sys == ENOENT) return std::size_t{0};
    if (!top && (top.error().sys == ENOTDIR || top.error().sys == ELOOP)) {
        SCRATCHD_CHECK(unlink_entry(parent_fd, name, 0));
        return std::size_t{1};
    }
    if (!top) return std::unexpected(std::move(top).error());
    std::vector<level> path;  // an explicit stack: a user can nest deeper than ours
    make_mutable(::dirfd(top->get()));
    path.push_back({*std::move(top), name});
    std::size_t removed = 0;
    while (!path.empty()) {
        if (until.passed()) return fail(errc::timed_out, "remove " + name);
        DIR* const here = path.back().folder.get();
        errno = 0;
        dirent const* const entry = ::readdir(here);
        if (entry == nullptr) {
            if (errno != 0) return fail_errno("read " + path.back().name);
            auto const done = std::move(path.back().name);
            path.pop_back();
            SCRATCHD_CHECK(
                unlink_entry(path.empty() ? parent_fd : ::dirfd(path.back().folder.get()), done, AT_REMOVEDIR));
            ++removed;
            continue;
        }
        std::string const child = entry->d_name;
        if (child == "." || child == "..") continue;
        if (entry->d_type == DT_DIR) {
            SCRATCHD_TRY(auto folder, open_beneath(::dirfd(here), child));
            make_mutable(::dirfd(folder.get()));
            path.push_back({std::move(folder), child});
        } else {
            SCRATCHD_CHECK(unlink_entry(::dirfd(here), child, 0));
            ++removed;
        }
    }
    return removed;
}

}  // namespace scratchd
