// What goes over the control socket, version 1. docs/api/openapi.json describes the same; a test compares them.
#pragma once

#include "agent/base/check.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace scratchd::api {

struct volume_view {
    std::string mapping;
    std::vector<std::string> devices;
    std::string mount;
    bool encrypted = true;
    std::string cipher;
    int key_bits = 0;
    int sector_size = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t generation = 0;
};

struct job_view {
    std::string id;
    std::string user;
    std::string since;  // RFC 3339, UTC; so are all times here
    std::string directory;
    std::vector<std::string> credentials;
};

struct last_wipe_view {
    std::uint64_t sequence = 0;
    std::string time;
    std::string method;
    double duration_seconds = 0;
    bool verified = false;
};

struct status {
    std::string state;
    std::string reason;
    std::string step;  // what a wipe is doing now
    bool hbi = false;
    std::optional<volume_view> volume;
    std::vector<job_view> jobs;
    std::vector<std::string> pending;  // ended mappings that the kernel has not let go yet
    std::optional<last_wipe_view> last_wipe;
    std::string version;
};

struct disk_view {
    std::string name;
    std::string device;
    std::uint64_t size_bytes = 0;
    std::string model;
    std::string serial;
    bool chosen = false;
    std::string why;
};
struct disk_list {
    std::vector<disk_view> disks;
};
struct job_list {
    std::vector<job_view> jobs;
};

struct begin_request {
    std::string id;
    std::string user;
    std::optional<std::vector<std::string>> credentials;
    std::optional<std::vector<std::string>> cgroups;
    std::optional<double> timeout_seconds;  // how long to wait for a wipe that is under way
};

using environment = std::map<std::string, std::string>;

struct env_reply {
    environment env;
};

struct begin_reply {
    std::string id;
    std::string directory;
    std::uint64_t generation = 0;
    environment env;
};

struct end_request {
    std::optional<std::vector<std::string>> cgroups;
    std::optional<double> timeout_seconds;
};

struct end_reply {
    std::string id;
    bool known = true;  // false: no such job, nothing was done
    std::uint64_t sequence = 0;
    std::uint64_t generation = 0;
    double duration_seconds = 0;
    std::vector<check> checks;
    std::map<std::string, std::uint64_t> residue;
};

struct wipe_request {
    std::optional<std::string> method;
    std::optional<bool> dry_run;
};

struct wipe_reply {
    std::string method;
    std::string why;
    bool dry_run = false;
    std::uint64_t sequence = 0;
    std::uint64_t generation = 0;
    double duration_seconds = 0;
    std::vector<check> checks;
};

struct resync_reply {
    bool complete = false;  // every credential of every job was fetched anew
};

struct report_line {
    std::uint64_t sequence = 0;
    std::string time;
    std::string kind;
    std::string job;
    std::string outcome;
    std::string method;
    std::string level;
    double duration_seconds = 0;
};
struct report_list {
    std::vector<report_line> reports;
};

// RFC 9457, with three members of our own.
struct problem {
    std::string type;
    std::string title;
    int status = 0;
    std::string detail;
    std::string code;  // "E0042"
    std::string disk;
    std::string next;
};

}  // namespace scratchd::api
