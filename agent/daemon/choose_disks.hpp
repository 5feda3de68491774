// From the names in the configuration to the disks that scratch will be made of.
#pragma once

#include "agent/config/config.hpp"
#include "agent/job/disk_ledger.hpp"
#include "agent/job/record.hpp"
#include "dmcrypt/disk.hpp"

#include <vector>

namespace scratchd {

struct chosen_disks {
    std::vector<disk_facts> disks;
    std::vector<recorded_disk> recorded;
};

// Examines every configured disk and takes all or none. One that was never ours must be allowed by `adopt`; it is
// erased first if it holds anything, and entered in the ledger before that. A refused disk is not touched, nor are the
// others.
result<chosen_disks> choose_disks(scratch_config const& wanted, disk_ledger& ledger);

// Every block device of the machine with the reason for taking it or not.
struct judged_disk {
    disk_facts facts;
    bool chosen = false;
    std::string why;
};
result<std::vector<judged_disk>> judge_all_disks(scratch_config const& wanted, disk_ledger const& ledger);

}  // namespace scratchd
