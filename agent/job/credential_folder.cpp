#include "agent/job/credential_folder.hpp"

#include "agent/base/file.hpp"
#include "agent/base/mounts.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <vector>

namespace scratchd {
namespace {

namespace fs = std::filesystem;

constexpr char files_name[] = "credentials";
constexpr std::size_t most_replaced = 16;
constexpr std::uint64_t safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

unique_fd open_folder(int at, char const* name) {
    return unique_fd(::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

result<bool> is_mounted(fs::path const& target) {
    SCRATCHD_TRY(auto const mounts, read_mounts());
    return std::ranges::any_of(mounts, [&](auto const& m) { return m.target == target && m.type == "ramfs"; });
}

// Root's alone until it has an owner.
result<> mount_new(fs::path const& target) {
    unique_fd const context(::fsopen("ramfs", FSOPEN_CLOEXEC));
    if (!context || ::fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "0500", 0) != 0 ||
        ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return fail_errno("make a ramfs for " + target.string());
    unique_fd const made(::fsmount(context.get(), FSMOUNT_CLOEXEC, safe));
    if (!made || ::move_mount(made.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return fail_errno("mount " + target.string());
    return {};
}

result<> set_mount(int at, char const* path, unsigned flags, mount_attr attributes) {
    if (::mount_setattr(at, path, flags, &attributes, sizeof attributes) != 0) return fail_errno("mount_setattr");
    return {};
}

// What is mounted at `target` becomes read-only there; the same, writable, comes back for us alone. A copy can be made
// of a mount that is in the tree only (before Linux 6.15), so this order and not the other.
result<unique_fd> writable_view(fs::path const& target) {
    unique_fd view(::open_tree(AT_FDCWD, target.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW));
    if (!view) return fail_errno("open " + target.string());
    SCRATCHD_CHECK(set_mount(view.get(), "", AT_EMPTY_PATH, {0, MOUNT_ATTR_RDONLY, 0, 0}));
    SCRATCHD_CHECK(set_mount(AT_FDCWD, target.c_str(), AT_SYMLINK_NOFOLLOW, {safe | MOUNT_ATTR_RDONLY, 0, 0, 0}));
    return view;
}

unique_fd open_to_wipe(int folder, std::string const& name) {
    return unique_fd(::openat(folder, name.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

// Overwritten in place: a ramfs has no copies, so this is the only one.
bool zero(int file) {
    struct stat st{};
    if (::fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) return true;
    std::vector<char> const zeros(static_cast<std::size_t>(st.st_size));
    return zeros.empty() || ::pwrite(file, zeros.data(), zeros.size(), 0) == st.st_size;
}

result<> zero_and_unlink(int folder, std::string const& name) {
    if (auto const file = open_to_wipe(folder, name); file && !zero(file.get())) return fail_errno("wipe " + name);
    if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno("remove " + name);
    return {};
}

result<> empty(int folder) {
    std::unique_ptr<DIR, int (*)(DIR*)> const list(::fdopendir(::dup(folder)), ::closedir);
    if (!list) return fail_errno("list credentials");
    ::rewinddir(list.get());
    result<> first;
    while (auto const* entry = ::readdir(list.get())) {
        std::string const name = entry->d_name;
        if (name == "." || name == ".." || entry->d_type == DT_DIR) continue;
        if (auto gone = zero_and_unlink(folder, name); !gone && first) first = std::move(gone);
    }
    return first;
}

std::string hidden(std::string const& name) {
    return "." + name + ".new";
}

}  // namespace

result<credential_folder> credential_folder::open(fs::path const& jobs, std::string const& job, folder_owner owner) {
    auto const target = jobs / job;
    if ((::mkdir(jobs.c_str(), 0711) != 0 && errno != EEXIST) || ::chmod(jobs.c_str(), 0711) != 0)
        return fail_errno("make " + jobs.string());
    if (::mkdir(target.c_str(), 0) != 0 && errno != EEXIST) return fail_errno("make " + target.string());
    SCRATCHD_TRY(bool const there, is_mounted(target));
    if (!there) SCRATCHD_CHECK(mount_new(target));
    SCRATCHD_TRY(auto const mount, writable_view(target));
    auto root = open_folder(mount.get(), ".");
    if (!root || (::mkdirat(root.get(), files_name, 0500) != 0 && errno != EEXIST))
        return fail_errno("make the folder of credentials");
    auto files = open_folder(root.get(), files_name);
    if (!files || ::fchown(files.get(), owner.uid, owner.gid) != 0 || ::fchown(root.get(), owner.uid, owner.gid) != 0 ||
        ::fchmod(root.get(), 0500) != 0)
        return fail_errno("give the folder of credentials to its user");
    return credential_folder(std::move(root), std::move(files), owner);
}

credential_folder::~credential_folder() {
    for (auto const& file : replaced_) (void)zero(file.get());
}

result<> credential_folder::destroy(fs::path const& jobs, std::string const& job) {
    auto const target = jobs / job;
    SCRATCHD_TRY(bool const there, is_mounted(target));
    result<> done;
    if (there) {
        SCRATCHD_TRY(auto const mount, writable_view(target));
        for (char const* name : {".", files_name, "docker"})
            if (auto const folder = open_folder(mount.get(), name); folder)
                if (auto emptied = empty(folder.get()); !emptied && done) done = std::move(emptied);
        // Nothing is left in it, so whoever still stands in it holds nothing.
        if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
            return fail_errno("unmount " + target.string());
    }
    if (::rmdir(target.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + target.string());
    return done;
}

result<unique_fd> credential_folder::begin_file(std::string const& name) {
    auto const temporary = hidden(name);
    SCRATCHD_CHECK(zero_and_unlink(files_.get(), temporary));
    unique_fd file(
        ::openat(files_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
    // Owned before it holds a byte.
    if (!file || ::fchown(file.get(), owner_.uid, owner_.gid) != 0) return fail_errno("make the file of " + name);
    return file;
}

result<> credential_folder::commit_file(std::string const& name) {
    if (auto old = open_to_wipe(files_.get(), name); old) replaced_.push_back(std::move(old));
    while (replaced_.size() > most_replaced) {
        (void)zero(replaced_.front().get());
        replaced_.pop_front();
    }
    if (::renameat(files_.get(), hidden(name).c_str(), files_.get(), name.c_str()) != 0)
        return fail_errno("rename the file of " + name);
    return {};
}

result<> credential_folder::remove_file(std::string const& name) {
    SCRATCHD_CHECK(zero_and_unlink(files_.get(), hidden(name)));
    return zero_and_unlink(files_.get(), name);
}

result<> credential_folder::write_plain(std::string const& folder, std::string const& name, std::string_view text) {
    if (::mkdirat(root_.get(), folder.c_str(), 0500) != 0 && errno != EEXIST) return fail_errno("make " + folder);
    auto const into = open_folder(root_.get(), folder.c_str());
    if (!into || ::fchown(into.get(), owner_.uid, owner_.gid) != 0) return fail_errno("make " + folder);
    auto const temporary = hidden(name);
    (void)::unlinkat(into.get(), temporary.c_str(), 0);
    unique_fd const file(
        ::openat(into.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
    if (!file || ::fchown(file.get(), owner_.uid, owner_.gid) != 0) return fail_errno("make " + name);
    SCRATCHD_CHECK(write_all(file.get(), text));
    if (::renameat(into.get(), temporary.c_str(), into.get(), name.c_str()) != 0) return fail_errno("rename " + name);
    return {};
}

fs::path credential_folder::writable_path(std::string const& name) const {
    return fmt::format("/proc/self/fd/{}/{}", root_.get(), name);
}

}  // namespace scratchd
