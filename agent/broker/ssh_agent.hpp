// A job's ssh-agent socket: agent_protocol.hpp over frames.
#pragma once

#include "agent/broker/agent_protocol.hpp"
#include "agent/ipc/frame_server.hpp"

namespace scratchd::broker {

// Tells of every request for a signature, with who asked.
using ssh_audit = std::function<void(ipc::peer const&, agent_event const&)>;

// `open` of a frame_service. `keys` outlives the server.
std::function<std::unique_ptr<ipc::frame_session>(ipc::peer const&)> ssh_agent_sessions(key_ring& keys,
                                                                                        ssh_audit audit = {});

}  // namespace scratchd::broker
