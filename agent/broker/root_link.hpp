// The broker's end of the conversation with scratchd: only root may connect, and the newest connection counts.
// Runs on the loop's thread.
#pragma once

#include "agent/api/channel.hpp"
#include "agent/base/deadline.hpp"
#include "agent/base/handle.hpp"
#include "agent/ipc/loop.hpp"
#include "agent/ipc/task.hpp"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace scratchd::broker {

struct root_packet {
    api::channel_message message;
    std::vector<unique_fd> fds;
    std::uint64_t connection = 0;
};

class root_link {
public:
    struct events {
        std::function<void(root_packet)> asked;  // hello, grant, revoke, resync
        std::function<void()> lost;              // scratchd went away: a restart, or for good
    };

    // `listening`: a SOCK_SEQPACKET socket.
    root_link(ipc::loop& on, unique_fd listening, events tell);
    ~root_link();
    root_link(root_link const&) = delete;
    root_link& operator=(root_link const&) = delete;

    // An answer to what came over `connection`. Nobody there to hear it is no error, and nobody else hears it: another
    // connection counts its questions anew.
    void answer(std::uint64_t connection, api::channel_message const& message);
    // A question of our own: its answer, or what refused it; timed_out, broker_unreachable when root went away.
    task<result<root_packet>> ask(api::channel_message message, deadline until);

private:
    struct question;
    void send(api::channel_message const& message);
    void accept();
    void readable();
    void drop();

    ipc::loop& loop_;
    unique_fd listening_;
    events events_;
    ipc::loop::watch accepting_;
    unique_fd socket_;
    ipc::loop::watch reading_;
    std::uint64_t connection_ = 0;
    std::uint64_t serial_ = 0;
    std::map<std::uint64_t, std::shared_ptr<question>> waiting_;
};

}  // namespace scratchd::broker
