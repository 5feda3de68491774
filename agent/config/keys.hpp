// Kinds of configuration keys: how each takes a value and shows it. schema.cpp and broker_keys.cpp list the keys.
#pragma once

#include "agent/config/schema.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace scratchd {

using words = std::vector<std::string>;

// `item`: which table of a list of tables ([[credential]]); 0 elsewhere.
template <class T>
using place = std::function<T&(config&, std::size_t item)>;

struct key {
    std::string_view name;  // "scratch.mount", "credential.vault"
    std::function<result<>(config&, std::size_t item, setting_value const&)> set;
    std::function<std::string(config const&, std::size_t item)> get;
};

// What a string must be: says so when it is not.
struct text_rule {
    bool (*fits)(std::string_view text) = nullptr;
    std::string_view must_be;
    bool may_be_empty = true;  // as if the key were not there
};

key flag(std::string_view name, place<bool> at);
key choice(std::string_view name, words allowed, place<std::string> at);
key duration(std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most,
             place<std::chrono::milliseconds> at);
key number(std::string_view name, std::int64_t least, std::int64_t most, place<std::uint32_t> at);
key text(std::string_view name, text_rule rule, place<std::string> at);
key text_list(std::string_view name, text_rule rule, place<words> at);

bool is_absolute_path(std::string_view text);

// Keys of [broker], [[identity]] and [[credential]].
std::vector<key> broker_keys();

std::string quoted(std::string_view text);

}  // namespace scratchd
