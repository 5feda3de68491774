// What one wipe did, as data. docs/records.md explains every field; the schema's name changes with its meaning.
#pragma once

#include "agent/base/check.hpp"
#include "agent/base/error.hpp"

#include <sys/types.h>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace scratchd {

struct initiator {
    uid_t uid = 0;
    pid_t pid = 0;        // for the log only: pids are reused
    std::string program;  // comm of that pid, as it calls itself
};

struct recorded_disk {
    std::string name;
    std::string model;
    std::string serial;
    std::uint64_t size_bytes = 0;
    std::string provenance;  // "blank" or "previously_plaintext": what it held when scratchd took it
};

struct record {
    // chain and origin, set by the store
    std::string schema;  // "scratchd.record.1"
    std::uint64_t sequence = 0;
    std::string previous;  // SHA-256 of the previous record's file, hex; of nothing for the first
    std::string node;      // fingerprint of the public key
    std::string boot_id;
    std::string time;     // RFC 3339, UTC
    std::string version;  // of scratchd

    std::string kind;     // "wipe", "folder" (one of several jobs left), "close" (an old mapping went), "seal"
    std::string outcome;  // "clean" or "failed"
    std::string reason;   // of a failure: "E0042 ..."
    std::string job;      // the one whose end this was: its id, or with hbi a keyed pseudonym; empty when none's
    std::vector<std::string> jobs;  // all that held the volume when it was wiped, named the same way
    bool hbi = false;
    std::string method;  // "crypto", "folder", "none"
    std::string level;   // NIST SP 800-88: "purge", "clear" or "none"
    std::string level_reason;
    std::vector<recorded_disk> disks;
    std::uint64_t generation_before = 0;
    std::uint64_t generation_after = 0;
    std::string key_before;  // keyed fingerprints
    std::string key_after;
    std::vector<check> checks;
    std::map<std::string, std::uint64_t> residue;
    std::map<std::string, std::uint64_t> durations_ms;
    initiator who;
};

}  // namespace scratchd
