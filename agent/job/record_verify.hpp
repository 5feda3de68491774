// Verifies a folder of records with nothing but the files and a public key.
#pragma once

#include "agent/base/error.hpp"
#include "agent/job/record.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace scratchd {

struct chain_problem {
    errc code = errc::record_unreadable;
    std::string file;  // "00000007.json"
    std::string what;
};

struct chain_report {
    std::uint64_t records = 0;
    std::uint64_t newest = 0;
    std::string node;  // fingerprint of the key that was used
    std::vector<chain_problem> problems;
};

// Finds every record that was changed, removed, put elsewhere, added or signed by another key. `public_key` is the
// PEM file to trust; without it the folder's own node.pub is used, which proves less: whoever can write the folder can
// replace both. An error means that nothing could be judged at all.
result<chain_report> verify_records(std::filesystem::path const& folder,
                                    std::optional<std::filesystem::path> const& public_key);

}  // namespace scratchd
