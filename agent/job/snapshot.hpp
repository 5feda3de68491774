// All that the node remembers between two steps: what the journal holds.
#pragma once

#include "agent/job/lifecycle.hpp"
#include "dmcrypt/volume.hpp"

#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace scratchd {

struct lease {
    std::string job;
    std::string user;
    uid_t uid = 0;
    gid_t gid = 0;
    std::int64_t since = 0;            // seconds since 1970
    std::vector<std::string> cgroups;  // folders, checked when they were named
    std::vector<std::string> credentials;
};

struct last_wipe {
    std::uint64_t sequence = 0;  // of its record
    std::int64_t time = 0;
    std::string method;
    std::uint64_t duration_ms = 0;
    bool verified = false;
};

struct snapshot {
    std::uint64_t serial = 0;  // of the journal's line
    std::string boot_id;
    node_state state = node_state::quarantine;
    std::string step;               // announced by this line
    std::string reason;             // "E0042 ..." when the state is failed or quarantine
    std::uint64_t generations = 0;  // the number of the newest generation ever begun
    std::optional<generation> volume;
    std::string last_fingerprint;  // of the newest key, also after its volume is gone
    std::string last_canary;
    std::vector<lease> leases;
    std::vector<std::string> pending;  // mappings without a key that still have a user
    std::optional<last_wipe> wiped;
};

}  // namespace scratchd
