// The program's version, from CMake's project().
#pragma once

#include <string_view>

namespace scratchd {

inline constexpr std::string_view version = SCRATCHD_VERSION;

}  // namespace scratchd
