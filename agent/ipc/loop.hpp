// The event loop of a daemon: one thread, no locks. Keeps Asio out of everybody else's headers.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace scratchd::ipc {

class loop {
public:
    loop();
    ~loop();
    loop(loop const&) = delete;
    loop& operator=(loop const&) = delete;

    void run();                             // until stop()
    void stop();                            // from any thread
    void post(std::function<void()> work);  // from any thread
    void on_signals(std::initializer_list<int> numbers, std::function<void(int)> act);
    void after(std::chrono::milliseconds span, std::function<void()> act);
    void every(std::chrono::milliseconds span, std::function<void()> act);

    // Calls `act` whenever `fd` can be read or has ended, until the returned watch goes. The descriptor stays the
    // caller's, who keeps it open as long.
    using watch = std::shared_ptr<void>;
    [[nodiscard]] watch on_readable(int fd, std::function<void()> act);

    boost::asio::io_context& context();

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace scratchd::ipc
