// Whether this node is a high-business-impact one is decided once, at its first start, in both directions.
#pragma once

#include "agent/base/error.hpp"
#include "agent/job/identity.hpp"

#include <filesystem>
#include <string>

namespace scratchd {

enum class seal_outcome : std::uint8_t { made, unchanged };

// Compares `hbi` with STATE/hbi.seal, a file signed by the node. Without one, it is made if this node has no history,
// and refused otherwise: a seal that was removed is no fresh node. Another value than the sealed one, or a seal that
// does not verify, is hbi_sealed. Only a new image, which has no STATE, starts over.
result<seal_outcome> enforce_hbi_seal(std::filesystem::path const& state, node_identity const& identity, bool hbi,
                                      std::string const& source, bool has_history);

}  // namespace scratchd
