// A blocking client of frames over a unix socket: small, for programs that ask once and end.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "agent/base/secret.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace scratchd::ipc {

class frame_client {
public:
    // broker_unreachable when nobody listens, not_permitted when the socket may not be opened, timed_out.
    static result<frame_client> connect(std::string const& socket, deadline until);

    // One frame there, one back, at most 1 MiB. The frame goes out in one write, from the process that connected: the
    // server refuses others. broker_unreachable when it closes the connection, timed_out, bad_reply.
    result<secret> ask(std::span<std::byte const> payload, deadline until);

private:
    explicit frame_client(unique_fd socket) : socket_(std::move(socket)) {}
    result<> send(std::span<std::byte const> payload, deadline until);
    result<> receive(std::span<std::byte> into, deadline until);
    unique_fd socket_;
};

}  // namespace scratchd::ipc
