#include "agent/base/notify.hpp"

#include <systemd/sd-daemon.h>

namespace scratchd {

void notify_ready() {
    (void)sd_notify(0, "READY=1");
}
void notify_extend(std::chrono::seconds more) {
    (void)sd_notify(0, ("EXTEND_TIMEOUT_USEC=" + std::to_string(more.count() * 1000000)).c_str());
}
void notify_stopping() {
    (void)sd_notify(0, "STOPPING=1");
}
void notify_status(std::string const& line) {
    (void)sd_notify(0, ("STATUS=" + line).c_str());
}

}  // namespace scratchd
