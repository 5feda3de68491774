// Time as the vault client sees it: two clocks, a pause and chance. Tests have their own and never wait.
#pragma once

#include "agent/ipc/task.hpp"

#include <chrono>
#include <cstdint>
#include <memory>

namespace scratchd::vault {

class timing {
public:
    using clock = std::chrono::steady_clock;

    virtual ~timing() = default;
    [[nodiscard]] virtual clock::time_point now() const = 0;
    [[nodiscard]] virtual std::int64_t wall_seconds() const = 0;  // since 1970: for dates in answers only
    [[nodiscard]] virtual double chance() = 0;                    // from 0 to below 1, spreads the nodes of a cluster
    virtual task<> pause(std::chrono::milliseconds span) = 0;
};

std::unique_ptr<timing> make_timing();

}  // namespace scratchd::vault
