#include "agent/base/time_text.hpp"

#include <ctime>

namespace scratchd {

std::string time_text(std::int64_t seconds) {
    auto const at = static_cast<std::time_t>(seconds);
    std::tm utc{};
    (void)gmtime_r(&at, &utc);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

}  // namespace scratchd
