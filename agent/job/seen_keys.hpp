// Fingerprints of every volume key this node ever used: a restored or cloned machine may draw one a second time.
#pragma once

#include "agent/base/error.hpp"

#include <filesystem>
#include <set>
#include <string>

namespace scratchd {

class seen_keys {
public:
    // STATE/keys.seen: a fingerprint in hex a line. A torn last line is dropped.
    static result<seen_keys> open(std::filesystem::path const& state);

    // key_repeated when it was seen; otherwise durable before this returns, so before the key is used.
    result<> admit(std::string const& fingerprint);

private:
    explicit seen_keys(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
    std::set<std::string> seen_;
};

}  // namespace scratchd
