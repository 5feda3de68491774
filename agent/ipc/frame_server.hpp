// Frames over a unix stream socket that belongs to certain users: accepts, proves who asks, reads, limits, answers.
//
// What is proven: the process that connected had an allowed effective uid (SO_PEERCRED, fixed by the kernel at
// connect(2)), and every byte of a frame was sent by that same process while its real uid was allowed
// (SCM_CREDENTIALS, which the kernel adds to each write and never merges across writers; unix(7), SO_PASSCRED). So a
// descendant that inherited a connection, or a stranger it was passed to, is refused and told of, whatever its uid.
// What is not: which of the user's processes it is. Every process of an allowed uid may connect, in the job or not;
// one that traces or starts an allowed process acts as it; a pid is reused in seconds, so it counts only together
// with the uid. Where this process stands in a user namespace that does not map the peer, the peer reads as the
// overflow uid and is refused, also when "nobody" is allowed: in such a namespace it could be anyone.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "agent/ipc/loop.hpp"
#include "agent/ipc/message.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace scratchd::ipc {

struct frame_limits {
    std::size_t frame_bytes = 256U << 10U;        // payload
    std::size_t connections = 64;                 // in all; one more is closed at once
    std::size_t buffer_bytes = 2U << 20U;         // of all connections; what would need more is closed
    std::chrono::milliseconds idle_time{600000};  // between frames
    std::chrono::milliseconds frame_time{5000};   // from a frame's first byte to its last, and to take an answer
};

// One connection's conversation.
class frame_session {
public:
    virtual ~frame_session() = default;
    // The payload of one frame to that of its answer, at once: runs on the loop's thread. The answer stands in the
    // session's own memory until sent() is called. An error closes the connection.
    virtual result<std::span<std::byte const>> answer(std::span<std::byte const> frame) = 0;
    // The answer is in the socket: if it was a secret, it is wiped now.
    virtual void sent() {}
};

struct frame_service {
    std::vector<uid_t> allowed;
    std::function<std::unique_ptr<frame_session>(peer const&)> open;  // the peer comes without its program's name
    std::function<void(peer const&)> refused;                         // with it; for the audit log
};

class frame_server {
public:
    // Takes a listening socket. A connection of a busy server waits its turn: one answer, then all other servers of
    // the loop, so that a flood on one socket costs another's user no more than one answer's time.
    frame_server(loop& on, unique_fd listening, frame_service service, frame_limits limits = {});
    // Closes every connection at once and lets go of `service` and all sessions. Not from inside of one of them.
    ~frame_server();
    frame_server(frame_server const&) = delete;
    frame_server& operator=(frame_server const&) = delete;

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace scratchd::ipc
