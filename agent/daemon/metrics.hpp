// The node's state as Prometheus text.
#pragma once

#include "agent/api/types.hpp"

#include <string>

namespace scratchd {

// Exposition format 0.0.4. Names: docs/configuration.md.
std::string metrics_text(api::status const& now);

}  // namespace scratchd
