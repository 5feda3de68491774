// Reads files of root that the broker may not open: scratchd opens and hands over, the broker reads.
#pragma once

#include "agent/broker/root_link.hpp"
#include "agent/vault/provider.hpp"

namespace scratchd::broker {

// `root` outlives the loop's run. A file of more than 1 MiB is credential_format.
vault::source_reader make_source_reader(root_link& root);

}  // namespace scratchd::broker
