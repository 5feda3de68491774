// The records of this node: STATE/records/00000001.json and so on, each signed, each naming the hash of the one before.
//
// A record file is the canonical JSON of the record with one more key, "signature": base64 of the Ed25519 signature of
// the canonical form without it. STATE/records/head.json, signed the same way, names the newest, so that records cut
// off at the end are missed.
#pragma once

#include "agent/base/error.hpp"
#include "agent/job/identity.hpp"
#include "agent/job/record.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace scratchd {

struct record_head {
    std::uint64_t sequence = 0;  // 0: no record yet
    std::string hash;            // SHA-256 of the newest file, hex
};

class record_store {
public:
    // Finds the newest record by its file; `identity` must outlive it.
    static result<record_store> open(std::filesystem::path const& state, node_identity const& identity,
                                     std::string boot_id);

    // Fills in the chain fields, signs, writes, syncs file and folder. Returns the sequence. When it fails nothing is
    // appended, and the caller has no proof of what it did.
    result<std::uint64_t> append(record r);

    [[nodiscard]] record_head const& head() const { return head_; }
    // The newest record of this kind of ending for a job name as it stands in records.
    result<std::optional<record>> find_job(std::string const& job) const;
    result<record> read(std::uint64_t sequence) const;
    result<std::string> read_file_text(std::uint64_t sequence) const;

private:
    record_store(std::filesystem::path folder, node_identity const& identity, std::string boot_id)
        : folder_(std::move(folder)), identity_(&identity), boot_id_(std::move(boot_id)) {}

    std::filesystem::path folder_;
    node_identity const* identity_;
    std::string boot_id_;
    record_head head_;
};

std::filesystem::path record_file(std::filesystem::path const& folder, std::uint64_t sequence);

}  // namespace scratchd
