// Reads the configuration: one TOML file, then drop-ins in name order, the later one winning key by key.
#pragma once

#include "agent/base/error.hpp"
#include "agent/config/config.hpp"
#include "agent/config/schema.hpp"

#include <filesystem>
#include <string_view>
#include <vector>

namespace scratchd {

inline constexpr char default_config_file[] = "/etc/scratchd/scratchd.toml";

// The settings of one text. Wrong TOML is config_syntax with file:line:column.
result<std::vector<setting>> parse_toml(std::string_view text, std::string const& file);

// Reads `file` and `file`.d/*.toml. Demands that each is a regular file that only root (or the caller) can change:
// otherwise config_insecure. A missing `file` is config_missing; the folder may be absent.
result<config> load_config(std::filesystem::path const& file);

// What the fields demand of each other.
result<> check_config(config const& c);

}  // namespace scratchd
