// The folder in memory that holds one job's credentials: /run/scratchd/jobs/JOB.
//
// A ramfs of its own (never swapped; tmpfs can be), mounted read-only where the job sees it: its user reads the files
// and connects to the sockets, but makes, changes and grows nothing there. scratchd works through a second, writable
// view that no path leads to. It never reads a secret: it makes files, hands out write-only descriptors, renames.
// Sources: Documentation/filesystems/ramfs-rootfs-initramfs.rst; fsmount(2), mount_setattr(2), move_mount(2).
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"

#include <sys/types.h>
#include <deque>
#include <filesystem>
#include <string>

namespace scratchd {

struct folder_owner {
    uid_t uid = 0;
    gid_t gid = 0;
};

class credential_folder {
public:
    // Makes and mounts it, or takes over the one that is mounted there (after a restart).
    static result<credential_folder> open(std::filesystem::path const& jobs, std::string const& job,
                                          folder_owner owner);
    credential_folder(credential_folder&&) = default;
    credential_folder& operator=(credential_folder&&) = default;
    ~credential_folder();  // zeroes what was replaced

    // Wipes and unmounts what is mounted there, whoever made it. Nothing there is no error.
    static result<> destroy(std::filesystem::path const& jobs, std::string const& job);

    // An empty file that nobody sees yet, owned by the job's user, mode 0400: write-only. commit() gives it its name,
    // over an older one at once; readers see the old or the new file, whole.
    result<unique_fd> begin_file(std::string const& name);
    result<> commit_file(std::string const& name);
    // Zeroes and unlinks it; whoever still has it open reads zeros. Not there is no error.
    result<> remove_file(std::string const& name);

    // A file without a secret, and a folder for it: "docker/config.json".
    result<> write_plain(std::string const& folder, std::string const& name, std::string_view text);
    // Where to bind a socket of that name: a path through the writable view, valid while this object lives.
    [[nodiscard]] std::filesystem::path writable_path(std::string const& name) const;

private:
    credential_folder(unique_fd root, unique_fd files, folder_owner owner)
        : root_(std::move(root)), files_(std::move(files)), owner_(owner) {}

    unique_fd root_;   // of the writable view
    unique_fd files_;  // credentials/ below it
    folder_owner owner_;
    std::deque<unique_fd> replaced_;  // zeroed a while later: a reader may be in the middle of one
};

}  // namespace scratchd
