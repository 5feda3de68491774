// The disks that scratchd has taken for scratch: only a disk in here, or one that the operator's `adopt` allows, is
// ever written to. What a disk holds proves nothing; the ledger is signed.
#pragma once

#include "agent/base/error.hpp"
#include "agent/job/identity.hpp"

#include <filesystem>
#include <map>
#include <string>

namespace scratchd {

// What a disk held when scratchd took it. A disk that is still being erased for that is not in use yet.
inline constexpr char provenance_blank[] = "blank";
inline constexpr char provenance_plain[] = "previously_plaintext";
inline constexpr char provenance_erasing[] = "being_erased";

class disk_ledger {
public:
    // STATE/disks.json; an empty one when there is none. One that does not verify is state_insecure.
    static result<disk_ledger> open(std::filesystem::path const& state, node_identity const& identity);

    // One of the above; empty for an unknown disk.
    [[nodiscard]] std::string provenance(std::string const& disk_identity) const;
    // Durable before the first byte is written to the disk.
    result<> enrol(std::string const& disk_identity, std::string const& provenance);

private:
    disk_ledger(std::filesystem::path path, node_identity const& identity)
        : path_(std::move(path)), identity_(&identity) {}
    std::filesystem::path path_;
    node_identity const* identity_;
    std::map<std::string, std::string> disks_;
};

}  // namespace scratchd
