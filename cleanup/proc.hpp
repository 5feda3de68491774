// One process as /proc shows it. All of this may change or vanish while it is read: a process that is gone is no error.
#pragma once

#include "agent/base/deadline.hpp"

#include <sys/types.h>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace scratchd {

struct process_info {
    pid_t pid = 0;
    std::string name;                // comm, at most 15 bytes, chosen by the process itself
    uid_t uid = 0;                   // real user id
    unsigned long long started = 0;  // clock ticks since boot: tells a reused pid
    bool kernel_thread = false;
    char state = '?';  // proc(5): R, S, D, Z, T, X ...
};

// Every process of this PID namespace.
std::vector<pid_t> all_processes();
// The /proc folders of a process to look into: its own, and those of threads that share its files or its folders no
// longer, or whose leader has ended.
std::vector<std::filesystem::path> task_folders(pid_t pid);
std::optional<process_info> read_process(pid_t pid);

// "pid 4711 (python, uid 1001)", control bytes in the name made visible.
std::string describe(process_info const& process);

// Kills exactly this process, not one that got its pid later; waits until it is dead or the deadline passes.
// True when it is gone. A process stuck in the kernel (state D) outlives its deadline.
bool kill_process(process_info const& process, deadline until);

}  // namespace scratchd
