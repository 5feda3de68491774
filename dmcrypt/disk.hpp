// A block device as it is found: what it is, what is on it, who uses it.
//
// Facts are gathered from sysfs, mountinfo, /proc/swaps and libblkid; nothing here writes. What they mean for us is
// decided in disk_rules.hpp.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"

#include <sys/types.h>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace scratchd {

struct disk_facts {
    std::string name;              // as configured: /dev/disk/by-id/... or /dev/loop0
    std::filesystem::path device;  // the node behind the link: /dev/nvme0n1
    dev_t number = 0;
    std::uint64_t size_bytes = 0;
    std::uint64_t sequence = 0;  // diskseq: changes when another disk takes the same name (Linux 5.15); 0 if unknown
    std::string model;
    std::string serial;
    bool read_only = false;
    bool partition = false;  // a part of a disk, not a whole one
    std::vector<std::string> partitions;
    std::vector<std::string> holders;  // device-mapper, md, bcache ... above it
    std::vector<std::string> mounts;   // mount points of it and of all that is above it or inside it
    bool ours = false;                 // all that holds it are mappings of scratchd, left by an earlier run
    bool swap = false;                 // it, or what is above it or inside it
    bool claimed = false;              // somebody has it open exclusively
    std::string signature;             // what libblkid finds at its head: "ext4", "gpt", "crypto_LUKS"; empty: nothing
    std::string label;
    std::string inner_signature;  // of the only partition, where there is just one
    std::string inner_label;
    bool blank = false;  // no signature, and all samples are zero

    // What makes it the same disk after a reboot: model, serial and size; a loop device's file.
    [[nodiscard]] std::string identity() const;
};

// Opens and examines one device. `read_content` looks for signatures and data: without it those fields stay empty.
result<disk_facts> examine_disk(std::string const& name, bool read_content);

// What libblkid and a look at the data say. Reads past the page cache.
result<> read_signature(disk_facts& disk);

// Resolves configured names: a glob below /dev/disk/by-id gives all it matches, links to partitions left out. A name
// that is not there, or a glob without a match, is disk_unknown.
result<std::vector<std::string>> expand_disk_names(std::vector<std::string> const& names);

}  // namespace scratchd
