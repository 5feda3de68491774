// Exit codes of every program here. Stable: scripts and schedulers act on them.
#pragma once

namespace scratchd {

enum class exit_code : int {
    done = 0,
    failed = 1,  // something failed; the node is not clean
    usage = 2,
    busy = 3,         // not ready, try again
    refused = 4,      // by policy
    unreachable = 5,  // the daemon does not answer
    not_permitted = 6,
    evidence_broken = 7,
    timed_out = 8,
    configuration = 78,  // EX_CONFIG, sysexits.h
};

}  // namespace scratchd
