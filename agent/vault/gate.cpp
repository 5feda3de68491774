#include "agent/vault/gate.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

namespace scratchd::vault {
namespace asio = boost::asio;

struct gate::state {
    bool is_open = false;
    std::vector<std::weak_ptr<asio::steady_timer>> waiting;
};

gate::gate() : state_(std::make_unique<state>()) {}
gate::~gate() = default;

void gate::open() {
    state_->is_open = true;
    for (auto const& weak : state_->waiting)
        if (auto const timer = weak.lock()) timer->cancel();
    state_->waiting.clear();
}

task<bool> gate::wait(deadline until) {
    if (state_->is_open) co_return true;
    auto const timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, until.left());
    state_->waiting.push_back(timer);
    (void)co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
    co_return state_->is_open;
}

task<> run_apart(task<> work) {
    auto const executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, std::move(work), [](std::exception_ptr const& problem) {
        if (problem) std::rethrow_exception(problem);
    });
}

}  // namespace scratchd::vault
