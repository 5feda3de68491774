// Mount namespaces other than our own: what is mounted in them, and work inside one.
//
// Work happens on a thread of its own: setns(2) for a mount namespace needs a thread that shares its file-system
// attributes with no other.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/mounts.hpp"

#include <sys/types.h>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace scratchd {

// "mnt:[4026531841]" → its mounts, for every namespace that a process lives in.
using namespace_mounts = std::map<std::string, std::vector<mount_entry>>;
namespace_mounts read_all_namespaces();

// The name of the namespace behind /proc/PID/ns/mnt or an open descriptor of one; empty when it is none.
std::string namespace_name(std::filesystem::path const& ns);

// What is mounted in the namespace behind `ns`.
result<std::vector<mount_entry>> mounts_inside(std::filesystem::path const& ns);

// Takes all mounts of `devices` out of that namespace. Fails on mounts that are locked there because a user namespace
// got them as one unit (mount_namespaces(7)): then only the end of its processes helps.
result<> unmount_inside(std::filesystem::path const& ns, std::set<dev_t> const& devices);

}  // namespace scratchd
