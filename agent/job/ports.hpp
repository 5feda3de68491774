// What the node asks of others: seams in its own words, filled in by the daemon.
#pragma once

#include "agent/base/error.hpp"
#include "agent/job/snapshot.hpp"

#include <functional>
#include <vector>

namespace scratchd {

// Credentials of a job: granted whole or not at all, and gone when revoke returns.
class credential_port {
public:
    virtual ~credential_port() = default;
    virtual result<> grant(lease const& job) = 0;
    virtual result<> revoke(std::string const& job) = 0;
    // After a start: takes up again what these jobs have, and ends what is there of any other.
    virtual result<> restore(std::vector<lease> const& running) = 0;
};

// Told after every change, on the thread that runs the node.
using on_change = std::function<void(snapshot const&)>;

}  // namespace scratchd
