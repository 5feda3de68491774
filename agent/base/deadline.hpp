// A point in monotonic time that a whole operation must not pass.
#pragma once

#include <algorithm>
#include <chrono>

namespace scratchd {

class deadline {
public:
    using clock = std::chrono::steady_clock;

    static deadline in(std::chrono::milliseconds span) { return deadline(clock::now() + span); }

    [[nodiscard]] bool passed() const { return clock::now() >= at_; }
    // Never negative; rounded up, so that a poll(2) with it does not spin.
    [[nodiscard]] std::chrono::milliseconds left() const {
        return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(at_ - clock::now()));
    }
    // The same deadline, or an earlier one `span` from now.
    [[nodiscard]] deadline at_most(std::chrono::milliseconds span) const {
        return deadline(std::min(at_, clock::now() + span));
    }

private:
    explicit deadline(clock::time_point at) : at_(at) {}
    clock::time_point at_;
};

}  // namespace scratchd
