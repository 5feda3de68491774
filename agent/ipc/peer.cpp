#include "agent/ipc/peer.hpp"

#include "agent/base/file.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

namespace scratchd::ipc {

peer peer_of(int connected) {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return {};
    return {who.uid, who.gid, who.pid, ""};
}

std::string program_of(pid_t pid) {
    auto const comm = read_line(fmt::format("/proc/{}/comm", pid));
    return comm ? *comm : "";
}

}  // namespace scratchd::ipc
