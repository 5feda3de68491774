#include "agent/ipc/loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

namespace scratchd::ipc {
namespace asio = boost::asio;

struct loop::state {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
    std::list<asio::signal_set> signals;
    std::list<asio::steady_timer> timers;

    void wait(asio::signal_set& set, std::function<void(int)> const& act) {
        set.async_wait([this, &set, act](boost::system::error_code ec, int number) {
            if (ec) return;
            act(number);
            wait(set, act);
        });
    }

    void tick(asio::steady_timer& timer, std::chrono::milliseconds span, std::function<void()> const& act) {
        timer.expires_after(span);
        timer.async_wait([this, &timer, span, act](boost::system::error_code ec) {
            if (ec) return;
            act();
            tick(timer, span, act);
        });
    }
};

loop::loop() : state_(std::make_unique<state>()) {}
loop::~loop() = default;

void loop::run() {
    state_->context.run();
}
void loop::stop() {
    state_->context.stop();
}
void loop::post(std::function<void()> work) {
    asio::post(state_->context, std::move(work));
}
asio::io_context& loop::context() {
    return state_->context;
}

void loop::on_signals(std::initializer_list<int> numbers, std::function<void(int)> act) {
    auto& set = state_->signals.emplace_back(state_->context);
    for (int const number : numbers) set.add(number);
    state_->wait(set, act);
}

void loop::after(std::chrono::milliseconds span, std::function<void()> act) {
    auto timer = std::make_shared<asio::steady_timer>(state_->context, span);
    timer->async_wait([timer, act = std::move(act)](boost::system::error_code ec) {
        if (!ec) act();
    });
}

namespace {

// Shared with its handler: the watch may go while the handler runs.
struct readable_watch : std::enable_shared_from_this<readable_watch> {
    readable_watch(asio::io_context& on, int fd, std::function<void()> what)
        : descriptor(on, fd), act(std::move(what)) {}
    void wait() {
        descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                              [weak = weak_from_this()](boost::system::error_code ec) {
                                  auto const self = weak.lock();
                                  if (ec || !self) return;
                                  self->act();
                                  if (self->descriptor.is_open()) self->wait();
                              });
    }
    asio::posix::stream_descriptor descriptor;
    std::function<void()> act;
};

}  // namespace

loop::watch loop::on_readable(int fd, std::function<void()> act) {
    auto const made = std::make_shared<readable_watch>(state_->context, fd, std::move(act));
    made->wait();
    // Deregistered with the watch, though its handler may be running: the number of a closed descriptor comes back
    // soon.
    return {made.get(), [made](void*) { made->descriptor.release(); }};
}

void loop::every(std::chrono::milliseconds span, std::function<void()> act) {
    auto& timer = state_->timers.emplace_back(state_->context);
    state_->tick(timer, span, act);
}

}  // namespace scratchd::ipc
