// A request with its repetitions: asks, waits as retry.hpp says, asks again, and stops at the deadline.
#pragma once

#include "agent/vault/exchange.hpp"
#include "agent/vault/retry.hpp"
#include "agent/vault/timing.hpp"

#include <functional>

namespace scratchd::vault {

// Both outlive every request.
struct asking {
    transport& net;
    timing& time;
};

// Builds the request anew for every attempt: a secret in it cannot be copied.
using request_maker = std::function<result<outgoing>()>;

// The last answer, whatever its status. An error only where the last attempt had no answer; vault_untrusted and
// vault_malformed end it at once. One attempt may take `each`; no wait is begun that would pass the deadline.
task<result<incoming>> ask(asking how, service who, request_maker make, deadline until,
                           std::chrono::milliseconds each = std::chrono::seconds(10));

}  // namespace scratchd::vault
