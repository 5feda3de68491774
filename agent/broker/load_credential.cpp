#include "agent/broker/load_credential.hpp"

#include "agent/ipc/peer.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace scratchd::broker {
namespace asio = boost::asio;
using unix_socket = asio::local::stream_protocol;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr auto use_result = asio::as_tuple(asio::use_awaitable);

// An exception here is a bug or the end of memory: it leaves loop::run() and ends the process.
constexpr auto or_die = [](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
};

std::optional<unit_request> address_of(int connected) {
    sockaddr_un from{};
    socklen_t size = sizeof from;
    if (::getpeername(connected, reinterpret_cast<sockaddr*>(&from), &size) != 0 || size > sizeof from ||
        size <= offsetof(sockaddr_un, sun_path))
        return std::nullopt;
    return parse_unit_address({from.sun_path, size - offsetof(sockaddr_un, sun_path)});
}

}  // namespace

struct unit_server::state : std::enable_shared_from_this<state> {
    state(ipc::loop& on, unique_fd listening, unit_service what, unit_limits bounds)
        : acceptor(on.context(), unix_socket(), listening.release()),
          room(on.context(), std::chrono::steady_clock::time_point::max()),
          service(std::move(what)),
          limits(bounds) {}

    unix_socket::acceptor acceptor;
    asio::steady_timer room;  // never expires: cancelled when a connection ends
    unit_service service;
    unit_limits limits;
    std::size_t open = 0;
    bool stopped = false;

    task<> accept() {
        auto self = shared_from_this();
        while (!stopped) {
            // The rest waits in the kernel's queue: closed at once it would be a unit with an empty credential.
            if (open >= limits.connections) {
                auto [woken] = co_await room.async_wait(use_result);
                (void)woken;
                continue;
            }
            auto [ec, socket] = co_await acceptor.async_accept(use_result);
            if (stopped || ec == asio::error::operation_aborted) co_return;
            if (ec) {
                // Out of descriptors: try again when some are closed.
                asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(50));
                (void)co_await pause.async_wait(use_result);
                continue;
            }
            ++open;
            asio::co_spawn(acceptor.get_executor(), serve(std::move(socket)), or_die);
        }
    }

    task<> serve(unix_socket::socket socket) {
        auto self = shared_from_this();
        asio::steady_timer clock(socket.get_executor(), limits.time);
        auto who = ipc::peer_of(socket.native_handle());
        auto const wanted = address_of(socket.native_handle());
        result<> done;
        if (who.uid != limits.allowed) done = fail(errc::not_permitted, "only systemd may ask here");
        else if (!wanted) done = fail(errc::bad_request, "the address is not one of systemd's");
        else {
            auto const first = co_await (deliver(socket, *wanted) || clock.async_wait(use_result));
            if (first.index() == 0) done = std::get<0>(first);
            else done = fail(errc::timed_out, "the unit's credential took too long");
        }
        --open;
        room.cancel();
        tell(std::move(who), wanted, done);
    }

    task<result<>> deliver(unix_socket::socket& socket, unit_request wanted) {
        SCRATCHD_CO_TRY(auto const value, co_await service.fetch(std::move(wanted)));
        auto const bytes = value->bytes();
        auto const buffer = asio::buffer(bytes.data(), bytes.size());
        auto [ec, size] = co_await asio::async_write(socket, buffer, use_result);
        (void)size;
        if (ec) co_return fail(errc::io, "write the credential to systemd", ec.value());
        co_return result<>{};
    }

    void tell(ipc::peer who, std::optional<unit_request> const& wanted, result<> const& done) const {
        if (stopped) return;
        who.program = ipc::program_of(who.pid);
        if (!done && service.refused) service.refused(who, wanted, done.error());
        if (done && service.served) service.served(who, *wanted);
    }
};

unit_server::unit_server(ipc::loop& on, unique_fd listening, unit_service service, unit_limits limits)
    : state_(std::make_shared<state>(on, std::move(listening), std::move(service), limits)) {
    asio::co_spawn(on.context(), state_->accept(), or_die);
}

unit_server::~unit_server() {
    state_->stopped = true;
    boost::system::error_code ignored;
    state_->acceptor.close(ignored);
    state_->room.cancel();
}

}  // namespace scratchd::broker
