// One thing that was looked at, and what was found: the unit of evidence in a record.
#pragma once

#include <string>

namespace scratchd {

struct check {
    std::string name;  // stable, from docs/records.md: "key-destroyed"
    bool ok = false;
    std::string detail;
};

}  // namespace scratchd
