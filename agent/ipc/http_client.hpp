// A blocking HTTP client over a unix socket, for the command line and the hooks.
#pragma once

#include "agent/base/error.hpp"
#include "agent/ipc/message.hpp"

#include <chrono>
#include <filesystem>
#include <string>

namespace scratchd::ipc {

struct call {
    std::string method = "GET";
    std::string path;
    std::string body;  // JSON; empty: none
    std::chrono::milliseconds limit{10000};
};

// daemon_unreachable when nobody listens, not_permitted when the socket may not be opened, timed_out, bad_reply.
result<response> send(std::filesystem::path const& socket, call const& what);

}  // namespace scratchd::ipc
