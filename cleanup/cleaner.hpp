// Takes a job's processes and what they built off the scratch volume. The steps of the kill sequence that are about
// processes and mounts; dmcrypt has those about the disk. Tests have one that behaves in memory.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"

#include <sys/types.h>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace scratchd {

// Class of residue → how many were found. The names are stable: docs/records.md.
using residue = std::map<std::string, std::uint64_t>;

class cleaner {
public:
    virtual ~cleaner() = default;

    // Kills all that is in these control groups.
    virtual result<> kill_groups(std::vector<std::string> const& cgroups, residue& found, deadline until) = 0;
    // Kills every process that uses the device or what is built on it, whatever group it is in.
    virtual result<> kill_users(dev_t device, residue& found, deadline until) = 0;
    // Swap, mounts and loop devices on top of the device.
    virtual result<> unstack(dev_t device, residue& found) = 0;
    // Mounts of the device in other namespaces: unmounts there, or kills who keeps them.
    virtual result<> clear_namespaces(dev_t device, residue& found, deadline until) = 0;
    // "pid 4711 (python, uid 1001) by fd 3", for everybody who still holds it.
    virtual std::vector<std::string> name_holders(dev_t device) = 0;
    // Removes one job's folder below the scratch root while other jobs go on.
    virtual result<std::size_t> remove_folder(int root_fd, std::string const& name, deadline until) = 0;
};

std::unique_ptr<cleaner> make_kernel_cleaner();

}  // namespace scratchd
