// Device-mapper by libdevmapper: what exists, its live table, and the ways to end it.
//
// libdevmapper is not thread-safe: one thread owns all of this. Every call names a mapping by its dm name.
// Sources: dmsetup(8), Linux Documentation/admin-guide/device-mapper/.
#pragma once

#include "agent/base/error.hpp"

#include <sys/types.h>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace scratchd::dm {

struct target {
    std::uint64_t start = 0;   // 512-byte sectors
    std::uint64_t length = 0;  // 512-byte sectors
    std::string type;          // crypt, striped, error
    std::string parameters;
};

struct status {
    bool exists = false;
    bool suspended = false;
    bool removal_deferred = false;
    int open_count = 0;
    dev_t device = 0;
    std::string uuid;
};

result<std::vector<std::string>> list(std::string_view prefix);
result<status> query(std::string const& name);
// The live table, keys left out by the kernel as `dmsetup table` does.
result<std::vector<target>> table(std::string const& name);

// Creates and resumes a mapping with one target; returns its device number.
result<dev_t> create(std::string const& name, std::string const& uuid, target const& what);
// Replaces the live table by an error target over the same length, under whoever has it open: the old target is
// destroyed (a crypt target frees its key) and the devices below are released. Nothing is flushed.
result<> replace_by_error(std::string const& name);
// Fails with EBUSY while it is open.
result<> remove(std::string const& name);
// The kernel removes it when the last opener is gone.
result<> remove_deferred(std::string const& name);

}  // namespace scratchd::dm
