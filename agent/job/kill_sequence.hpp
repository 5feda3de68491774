// The one way a volume ends, busy or not: design.md, "Killing a volume". Each step is announced before it runs, runs
// whatever became of those before it, and can be repeated. The order matters and is the same everywhere.
#pragma once

#include "agent/base/check.hpp"
#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"
#include "cleanup/cleaner.hpp"
#include "dmcrypt/volume.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace scratchd {

struct kill_request {
    std::vector<std::string> cgroups;  // of every job that ends
    deadline until;
    // Called before each step with its name; what it returns is kept, not obeyed: destruction goes on.
    std::function<result<>(std::string const&)> announce;
    // Takes the jobs' credentials away, first of all.
    std::function<result<>()> revoke;
};

struct kill_outcome {
    std::vector<check> checks;
    residue found;
    std::map<std::string, std::uint64_t> durations_ms;
    std::vector<error> problems;   // empty: every step did what it should
    bool key_dead = false;         // proven: no mapping of ours reaches a disk any more
    std::vector<remnant> pending;  // keyless mappings that the kernel has not let go yet
};

// Names of the steps in order, as in the journal, in records and of the failpoints "step.NAME".
std::vector<std::string> kill_steps();

kill_outcome kill_volume(volume& what, cleaner& cleaning, kill_request const& request);

}  // namespace scratchd
