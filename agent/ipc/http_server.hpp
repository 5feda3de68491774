// HTTP/1.1 over a unix socket: accepts, reads, limits, answers.
//
// Limits: 8 KiB of header, `body_bytes` of body, 5 s to send a request whole, `connections` in all and half as many
// of one user. The answer may take as long as it takes: the caller decides how long to wait.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "agent/ipc/loop.hpp"
#include "agent/ipc/message.hpp"

#include <cstddef>
#include <memory>

namespace scratchd::ipc {

struct server_limits {
    std::size_t body_bytes = 65536;
    std::size_t connections = 64;
    std::chrono::milliseconds request_time{5000};
};

class http_server {
public:
    // Takes a listening socket. `answer` runs on the loop's thread and must not block.
    http_server(loop& on, unique_fd listening, server_limits limits, handler answer);
    ~http_server();
    http_server(http_server const&) = delete;
    http_server& operator=(http_server const&) = delete;

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace scratchd::ipc
