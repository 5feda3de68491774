// What scratchd asks of the broker, and what happens when it goes away.
#pragma once

#include "agent/broker/grants.hpp"
#include "agent/broker/root_link.hpp"

#include <cstdint>

namespace scratchd::broker {

class conversation {
public:
    conversation(ipc::loop& on, config const& settings, grants& given, root_link& root)
        : loop_(on), config_(settings), grants_(given), root_(root) {}

    void asked(root_packet packet);
    // A restart takes a moment and its jobs go on; who stays away for longer than a credential may live has lost them.
    void lost();

private:
    task<> give(root_packet packet);
    task<> resync(api::channel_message message, std::uint64_t connection);

    ipc::loop& loop_;
    config const& config_;
    grants& grants_;
    root_link& root_;
    std::uint64_t connection_ = 0;  // counts, so that an old loss ends nothing of a new connection
};

}  // namespace scratchd::broker
