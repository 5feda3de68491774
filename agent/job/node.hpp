// The node: takes jobs in, lets them out, wipes in between. It does what lifecycle.hpp decides, journal first.
//
// Synchronous, one thread. All it knows of the world comes through the seams it is given; daemon/app.cpp builds it.
#pragma once

#include "agent/base/ids.hpp"
#include "agent/job/disk_ledger.hpp"
#include "agent/job/identity.hpp"
#include "agent/job/journal.hpp"
#include "agent/job/kill_sequence.hpp"
#include "agent/job/ports.hpp"
#include "agent/job/record_store.hpp"
#include "agent/job/seen_keys.hpp"
#include "agent/job/snapshot.hpp"

#include <chrono>

namespace scratchd {

struct node_settings {
    bool hbi = false;
    std::string boot_id;
    std::filesystem::path mount;
    std::chrono::milliseconds wipe_limit{30000};
    std::vector<recorded_disk> disks;
    // Why no new volume can be made: refused disks, a broken seal, no configuration. What exists is still ended.
    std::optional<error> impediment;
};

struct node_parts {
    volume& scratch;
    cleaner& cleaning;
    journal& log;
    record_store& records;
    seen_keys& keys;
    node_identity const& identity;
    credential_port& credentials;
};

struct begin_spec {
    job_id job;
    std::string user;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<std::string> cgroups;  // folders from check_cgroup
    std::vector<std::string> credentials;
    initiator who;
};

struct begin_outcome {
    lease granted;
    std::uint64_t generation = 0;
    std::filesystem::path directory;
};

struct end_spec {
    job_id job;
    std::vector<std::string> cgroups;
    initiator who;
    std::optional<std::chrono::milliseconds> limit;  // instead of the configured one
};

struct end_outcome {
    bool known = true;  // false: there was no such job, and nothing was done
    record proof;       // with its sequence; without, when the job is unknown
    std::uint64_t generation = 0;
};

class node {
public:
    node(node_settings settings, node_parts parts, on_change changed);

    // Looks at the journal and at the kernel: takes over a volume and its jobs after a restart, or wipes.
    result<> start(initiator who);
    // Ends the volume when no job holds it; a job's volume stays for the next start.
    result<> stop();

    result<begin_outcome> begin(begin_spec const& spec);
    result<end_outcome> end(end_spec const& spec);
    result<end_outcome> wipe(initiator who);

    // Follows mappings whose end was still under way when a wipe was answered. False when none is left.
    bool settle(deadline until);

    [[nodiscard]] snapshot const& now() const { return now_; }

private:
    struct wipe_context {
        std::string job;  // as it stands in records
        initiator who;
        std::vector<std::string> cgroups;
        std::chrono::milliseconds limit;
    };

    result<> announce(node_state state, std::string step);
    result<> start_impeded(initiator who);
    result<end_outcome> wipe_all(wipe_context const& context);
    result<> renew(record& proof, deadline until);
    result<record> write_record(record proof);
    result<end_outcome> end_one(lease const& leaving, end_spec const& spec);
    result<end_outcome> end_unknown(end_spec const& spec);
    result<std::string> recorded_name(std::string const& job) const;
    void broke(error const& why);
    std::vector<std::string> all_cgroups() const;
    result<> equip(lease const& job);
    result<begin_outcome> begin_again(begin_spec const& spec);
    lease* find(std::string const& job);

    node_settings settings_;
    node_parts parts_;
    on_change changed_;
    snapshot now_;
};

}  // namespace scratchd
