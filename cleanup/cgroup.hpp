// The job's control group: checked when it is named, killed as one when the job ends.
//
// cgroup v2 only. Sources: Linux Documentation/admin-guide/cgroup-v2.rst (cgroup.freeze, cgroup.kill, cgroup.events).
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

namespace scratchd {

// Takes "/sys/fs/cgroup/a/b" or "/a/b" (as in /proc/PID/cgroup); returns the folder. Refuses (cgroup_refused) what is
// not a cgroup below the root, what others than root own, and what holds scratchd or PID 1.
result<std::filesystem::path> check_cgroup(std::string const& name);

struct cgroup_kill {
    std::size_t killed = 0;  // processes found in it before the kill
};

// Freezes, kills and waits until nothing is left in it or below it. A group that does not exist any more has nothing
// left. processes_survive when the deadline passes: it names one of them.
result<cgroup_kill> kill_cgroup(std::filesystem::path const& folder, deadline until);

}  // namespace scratchd
