// Opens the secret files of root for the broker, which may not: [broker] directory. Root passes the descriptor on and
// reads nothing.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "agent/config/config.hpp"

#include <filesystem>
#include <set>
#include <string>

namespace scratchd {

// The names that the configuration gives: no other is ever opened, whatever the broker asks for.
std::set<std::string> source_names(config const& from);

// Read-only. source_insecure when the folder or the file is not root's alone: folder closed to others' writing, file a
// regular one, mode 0400 or 0600. secret_missing when it is not there.
result<unique_fd> open_source(std::filesystem::path const& folder, std::string const& name);

}  // namespace scratchd
