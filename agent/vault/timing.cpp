#include "agent/vault/timing.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>

namespace scratchd::vault {
namespace {

class real_timing final : public timing {
public:
    [[nodiscard]] clock::time_point now() const override { return clock::now(); }
    [[nodiscard]] std::int64_t wall_seconds() const override {
        return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    }
    [[nodiscard]] double chance() override { return std::generate_canonical<double, 32>(source_); }

    task<> pause(std::chrono::milliseconds span) override {
        boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, span);
        (void)co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }

private:
    std::minstd_rand source_{std::random_device()()};
};

}  // namespace

std::unique_ptr<timing> make_timing() {
    return std::make_unique<real_timing>();
}

}  // namespace scratchd::vault
