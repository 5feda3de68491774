// Points in time as services write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace scratchd::vault {

// RFC 9110, 5.6.7, the preferred form: "Sun, 06 Nov 1994 08:49:37 GMT". Seconds since 1970.
std::optional<std::int64_t> parse_http_date(std::string_view text);

// What token endpoints say in expires_on: seconds since 1970, RFC 3339, RFC 1123, or the App Service form
// "11/06/1994 8:49:37 PM +00:00" (month first; also without AM/PM and without the zone, which is UTC).
std::optional<std::int64_t> parse_any_date(std::string_view text);

}  // namespace scratchd::vault
