// The disk thread: runs one piece of work after another. libcryptsetup, device-mapper and the node belong to it alone.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace scratchd {

class worker {
public:
    worker();
    // Finishes what was posted.
    ~worker();
    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;

    void post(std::move_only_function<void()> work);

private:
    void run();

    std::mutex guard_;
    std::condition_variable changed_;
    std::deque<std::move_only_function<void()>> queue_;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace scratchd
