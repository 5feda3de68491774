// What is built on top of a file system: loop devices over its files, swap, mounts below or over it, overlays.
#pragma once

#include "agent/base/error.hpp"
#include "cleanup/name_space.hpp"

#include <sys/types.h>
#include <set>
#include <string>
#include <vector>

namespace scratchd {

struct stack {
    std::set<dev_t> devices;          // the file system itself, loops over it, overlays with a layer in it, and so on
    std::vector<std::string> loops;   // /dev/loop0
    std::vector<std::string> swaps;   // paths from /proc/swaps
    std::vector<mount_entry> mounts;  // in our namespace, on top of the file system; children last
};

// By mountinfo, LOOP_GET_STATUS64 and /proc/swaps. Looks at overlays in every namespace.
result<stack> survey_stack(dev_t base, namespace_mounts const& namespaces);

struct unstacked {
    std::size_t swaps = 0;
    std::size_t mounts = 0;
    std::size_t loops = 0;
};

// swapoff, unmount (children first; FUSE with force, so that a stopped server cannot block), detach the loops. Goes on
// after a failure and returns the first one.
result<unstacked> take_down(stack const& what);

}  // namespace scratchd
