// The connection to scratchd-broker: packets out and in, answers matched to questions. Runs on the loop's thread.
#pragma once

#include "agent/api/channel.hpp"
#include "agent/base/handle.hpp"
#include "agent/ipc/loop.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace scratchd {

struct channel_packet {
    api::channel_message message;
    std::vector<unique_fd> fds;
};

class broker_socket {
public:
    using answer = std::function<void(result<channel_packet>)>;

    struct settings {
        std::filesystem::path path = "/run/scratchd-broker/broker.sock";
        std::string user = "scratchd-broker";  // who must be at the other end
    };
    struct events {
        std::function<void(channel_packet)> asked;  // a question of the broker's
        std::function<void(error)> lost;            // the connection ended
    };

    broker_socket(ipc::loop& on, settings how, events tell)
        : loop_(on), settings_(std::move(how)), events_(std::move(tell)) {}

    // broker_unreachable when nobody listens; not_permitted when somebody else than the broker does.
    result<> connect();
    [[nodiscard]] bool connected() const { return static_cast<bool>(socket_); }

    // Sends without waiting for an answer.
    result<> send(api::channel_message const& message, std::vector<int> const& fds = {});
    // Sends with a serial of its own; `done` is called once: with the answer, timed_out, or broker_unreachable.
    void ask(api::channel_message message, std::vector<int> const& fds, std::chrono::milliseconds limit, answer done);
    void close(error const& why);

private:
    void readable();

    ipc::loop& loop_;
    settings settings_;
    events events_;
    unique_fd socket_;
    ipc::loop::watch watch_;
    std::uint64_t serial_ = 0;
    std::map<std::uint64_t, answer> waiting_;
};

}  // namespace scratchd
