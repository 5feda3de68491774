// Who is at the other end of a unix socket.
#pragma once

#include "agent/ipc/message.hpp"

namespace scratchd::ipc {

// SO_PEERCRED (unix(7)): who connected, as it was at connect(2). Without the program; uid -1 when it cannot be read.
peer peer_of(int connected);

// The name of a process from /proc, for the log: "" when it is gone. A process chooses its name itself.
std::string program_of(pid_t pid);

}  // namespace scratchd::ipc
