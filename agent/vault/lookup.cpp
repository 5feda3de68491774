#include "agent/vault/lookup.hpp"

#include "agent/base/handle.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>

namespace scratchd::vault {
namespace asio = boost::asio;
namespace {

using addresses = std::vector<std::string>;
constexpr int most_under_way = 8;

struct search {
    std::string host;
    resolver by;
    unique_fd done;  // an eventfd: written once `found` is there
    result<addresses> found;
    std::atomic<bool> is_there = false;
};

std::atomic<int>& under_way() {
    static std::atomic<int> count = 0;
    return count;
}

void run(std::shared_ptr<search> const& what) {
    what->found = what->by(what->host);
    --under_way();
    what->is_there = true;
    std::uint64_t const one = 1;
    (void)::write(what->done.get(), &one, sizeof one);
}

result<> start(std::shared_ptr<search> const& what) {
    if (++under_way() > most_under_way) {
        --under_way();
        return fail(errc::vault_unreachable, "too many names wait for an answer of the resolver");
    }
    try {
        std::thread([what] { run(what); }).detach();
    } catch (std::system_error const& problem) {
        --under_way();
        return fail(errc::vault_unreachable, "a thread for the resolver", problem.code().value());
    }
    return {};
}

}  // namespace

result<addresses> system_resolver(std::string const& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    int const code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> const owner(list, ::freeaddrinfo);
    if (code != 0) return fail(errc::vault_unreachable, host + ": " + ::gai_strerror(code));
    addresses out;
    for (auto const* at = list; at != nullptr; at = at->ai_next) {
        char text[NI_MAXHOST];
        if (::getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
            out.emplace_back(text);
    }
    if (out.empty()) return fail(errc::vault_unreachable, host + " has no address");
    return out;
}

task<result<addresses>> look_up(std::string host, resolver by, deadline until) {
    auto const what = std::make_shared<search>();
    what->host = host;
    what->by = std::move(by);
    what->done = unique_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    // The loop gets a descriptor of its own: the thread may still write when the loop has closed it.
    unique_fd watched(what->done ? ::fcntl(what->done.get(), F_DUPFD_CLOEXEC, 0) : -1);
    if (!watched) co_return fail_errno("eventfd", errc::vault_unreachable);
    if (auto started = start(what); !started) co_return std::unexpected(std::move(started).error());

    auto const executor = co_await asio::this_coro::executor;
    auto const reader = std::make_shared<asio::posix::stream_descriptor>(executor, watched.release());
    asio::steady_timer limit(executor, until.left());
    limit.async_wait([reader](boost::system::error_code ec) {
        if (!ec) reader->cancel();
    });
    (void)co_await reader->async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    limit.cancel();
    if (!what->is_there) co_return fail(errc::timed_out, host + ": the name was not resolved in time");
    co_return std::move(what->found);
}

}  // namespace scratchd::vault
