// The keys of the configuration: names, types, bounds. Knows nothing of TOML.
#pragma once

#include "agent/base/error.hpp"
#include "agent/config/config.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace scratchd {

using setting_value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

struct setting {
    std::string key;  // "scratch.disks", "credential.name"
    setting_value value;
    origin where;
    std::optional<std::size_t> item = std::nullopt;  // of a list of tables: which
};

// Sets one value. An unknown key names the nearest known one; a wrong type or a bad value says what would be right.
// The error is config_value and begins with where.
result<> apply(config& into, setting const& one);

// Every key with its value as TOML, in the order of the sections.
struct shown_setting {
    std::string key;
    std::string value;
    origin where;
};
std::vector<shown_setting> show(config const& from);

// As it stands in config::origins: "scratch.disks", "credential[2].name".
std::string origin_key(std::string_view key, std::optional<std::size_t> item);

// "30s", "500ms", "5m", "1h".
result<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace scratchd
