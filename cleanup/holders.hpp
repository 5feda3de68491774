// Who holds a device: every process that has a file of it open, mapped, as working directory or as root, or that keeps
// a mount namespace alive in which it is mounted. Found by device number, never by user or name.
#pragma once

#include "cleanup/name_space.hpp"
#include "cleanup/proc.hpp"

#include <sys/types.h>
#include <set>
#include <string>
#include <vector>

namespace scratchd {

enum class hold : std::uint8_t {
    file,       // fd, mapping, working directory, root or program file
    mount,      // its mount namespace, another than ours, has the device mounted
    name_space  // an open descriptor of such a namespace
};

struct holder {
    process_info process;
    hold how = hold::file;
    std::string what;          // "fd 3", "memory map", "mount namespace mnt:[4026532177]"
    std::filesystem::path ns;  // for mount and name_space: where the namespace can be entered
};

// All processes but kernel threads, PID 1 and this one. Files on a mount that cannot be asked without blocking (FUSE,
// NFS) are judged by mountinfo alone. `namespaces` is what read_all_namespaces() gave.
std::vector<holder> find_holders(std::set<dev_t> const& devices, namespace_mounts namespaces);

}  // namespace scratchd
