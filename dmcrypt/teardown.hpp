// The end of one mapping, whether or not somebody still has it open.
#pragma once

#include "agent/base/check.hpp"
#include "agent/base/error.hpp"
#include "dmcrypt/volume.hpp"

#include <string>
#include <vector>

namespace scratchd {

// Every mapping of ours that holds or may hold a key: all but the plain stripes.
result<std::vector<remnant>> survey_mappings();

// Removes the mapping; when it stays open for longer than a moment, puts the error target under its users, which frees
// the key and the disks at once, and lets the kernel remove it when the last of them is gone. Then its stripe.
result<ending> end_mapping(std::string const& mapping);

// Whether a mapping is past harm: gone, or an error table with nobody holding it.
result<> prove_mapping_dead(remnant const& ended, std::vector<check>& proven, std::vector<remnant>& pending);

std::string stripe_name(std::string const& mapping);

}  // namespace scratchd
