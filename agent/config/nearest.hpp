// "did you mean": the nearest of some names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace scratchd {

// " (did you mean scratch.disks?)", or nothing when none is near.
std::string did_you_mean(std::string_view given, std::vector<std::string> const& known);

}  // namespace scratchd
