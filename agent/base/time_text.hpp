// Points in time as text.
#pragma once

#include <cstdint>
#include <string>

namespace scratchd {

// RFC 3339 in UTC: "2026-05-01T12:00:00Z". `seconds` since 1970.
std::string time_text(std::int64_t seconds);

}  // namespace scratchd
