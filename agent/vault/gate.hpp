// Many wait, one opens. Everything on the event loop's one thread.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/ipc/task.hpp"

#include <memory>

namespace scratchd::vault {

class gate {
public:
    gate();
    ~gate();
    gate(gate const&) = delete;
    gate& operator=(gate const&) = delete;

    void open();
    // False: the deadline came first. The gate must live until it returns.
    task<bool> wait(deadline until);

private:
    struct state;
    std::unique_ptr<state> state_;
};

// Runs `work` on its own, on the caller's event loop; it goes on when the caller is gone. An exception in it ends the
// process.
task<> run_apart(task<> work);

}  // namespace scratchd::vault
