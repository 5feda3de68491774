// What an operator can set, with its defaults. docs/configuration.md says what each means.
#pragma once

#include "agent/config/broker_config.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace scratchd {

// Where a value came from.
struct origin {
    std::string file;  // empty: the default
    unsigned line = 0;
    unsigned column = 0;

    [[nodiscard]] std::string text() const;  // "/etc/scratchd/scratchd.toml:2:1", "default"
};

struct workspace_config {
    bool hbi = false;
    std::string role = "cluster";
};

struct scratch_config {
    std::vector<std::string> disks;  // empty: nothing is ever touched
    std::string mount = "/mnt/scratch";
    std::string adopt = "blank";
    std::string filesystem = "ext4";
    std::uint32_t bytes_per_inode = 65536;
};

struct cleanup_config {
    std::chrono::milliseconds deadline{30000};
    std::string method = "crypto";
};

struct config {
    workspace_config workspace;
    scratch_config scratch;
    cleanup_config cleanup;
    broker_config broker;
    std::vector<identity_config> identities;
    std::vector<credential_config> credentials;
    std::map<std::string, origin> origins;  // "scratch.disks" → where it was set; what is missing has its default
};

}  // namespace scratchd
