// Tells the service manager how it goes (sd_notify(3)). Without a manager these do nothing.
#pragma once

#include <string>

namespace scratchd {

void notify_ready();
void notify_stopping();
// One line for `systemctl status`.
void notify_status(std::string const& line);

}  // namespace scratchd
