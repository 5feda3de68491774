// What must hold between the keys of [broker], [[identity]] and [[credential]]. Pure.
#pragma once

#include "agent/base/error.hpp"
#include "agent/config/config.hpp"

#include <string>

namespace scratchd {

// config_value with the place of the key that is wrong or stands for what is missing.
result<> check_broker(config const& c);

// "scratchd.toml:4:1" of a key that was set, "default" of another.
std::string where_set(config const& c, std::string const& key);

}  // namespace scratchd
