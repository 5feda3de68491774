// What every error code means: for the disk, for a script, and for the person who has to do something.
#pragma once

#include "agent/api/exit_code.hpp"
#include "agent/base/error.hpp"

#include <span>
#include <string>
#include <string_view>

namespace scratchd {

struct catalog_entry {
    errc code;
    std::string_view title;  // what happened, in general
    std::string_view disk;   // what it means for the disk
    std::string_view next;   // the next command, or what to do
    exit_code exit;
    int http;
};

std::span<catalog_entry const> catalog();
catalog_entry const& explain(errc code);

// "E0042 /mnt/scratch is held by pid 4711 (python, uid 1001)\n  disk: ...\n  next: ..."
std::string full_text(error const& e);

}  // namespace scratchd
