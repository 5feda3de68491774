// Tells the service manager how it goes (sd_notify(3)). Without a manager these do nothing.
#pragma once

#include <chrono>
#include <string>

namespace scratchd {

void notify_ready();
// The start takes longer: this much from now (EXTEND_TIMEOUT_USEC).
void notify_extend(std::chrono::seconds more);
void notify_stopping();
// One line for `systemctl status`.
void notify_status(std::string const& line);

}  // namespace scratchd
