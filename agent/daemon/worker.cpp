#include "agent/daemon/worker.hpp"

namespace scratchd {

worker::worker() : thread_([this] { run(); }) {}

worker::~worker() {
    {
        std::lock_guard const lock(guard_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void worker::post(std::move_only_function<void()> work) {
    {
        std::lock_guard const lock(guard_);
        queue_.push_back(std::move(work));
    }
    changed_.notify_one();
}

void worker::run() {
    for (;;) {
        std::move_only_function<void()> work;
        {
            std::unique_lock lock(guard_);
            changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
            if (queue_.empty()) return;
            work = std::move(queue_.front());
            queue_.pop_front();
        }
        work();
    }
}

}  // namespace scratchd
