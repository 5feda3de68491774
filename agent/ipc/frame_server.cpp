#include "agent/ipc/frame_server.hpp"

#include "agent/ipc/frame_buffer.hpp"
#include "agent/ipc/peer.hpp"
#include "agent/ipc/task.hpp"

#include <sys/socket.h>
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

namespace scratchd::ipc {
namespace asio = boost::asio;
using unix_socket = asio::local::stream_protocol;
using std::chrono::steady_clock;
using bytes = std::span<std::byte const>;

namespace {

constexpr auto use_result = asio::as_tuple(asio::use_awaitable);
// What the kernel shows for a uid that this user namespace does not map (/proc/sys/kernel/overflowuid).
constexpr uid_t overflow_uid = 65534;

// An exception here is a bug or the end of memory: it leaves loop::run() and ends the process.
constexpr auto or_die = [](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
};

struct connection {
    connection(unix_socket::socket from, peer of, std::size_t largest)
        : socket(std::move(from)), clock(socket.get_executor()), who(std::move(of)), input(largest) {}

    unix_socket::socket socket;
    asio::steady_timer clock;
    peer who;
    frame_buffer input;
    std::unique_ptr<frame_session> session;  // none: the server is gone
    steady_clock::time_point deadline = steady_clock::time_point::max();
    steady_clock::time_point armed = steady_clock::time_point::max();
};
using connection_ptr = std::shared_ptr<connection>;

// The other end learns of it also when a copy of this end lives on in another process.
void hang_up(unix_socket::socket& socket) {
    boost::system::error_code ignored;
    socket.shutdown(unix_socket::socket::shutdown_both, ignored);
    socket.close(ignored);
}

// Fires at the deadline, or earlier and then looks again: an exchange of frames costs no timer operation.
void arm(connection_ptr const& c) {
    c->armed = c->deadline;
    c->clock.expires_at(c->armed);
    c->clock.async_wait([weak = std::weak_ptr(c)](boost::system::error_code ec) {
        auto const c = weak.lock();
        if (ec || !c) return;
        if (steady_clock::now() < c->deadline) return arm(c);
        hang_up(c->socket);
    });
}

void limit(connection_ptr const& c, std::chrono::milliseconds span) {
    c->deadline = steady_clock::now() + span;
    if (c->deadline < c->armed) arm(c);
}

struct received {
    ssize_t count = 0;            // as recvmsg(2)
    std::optional<ucred> sender;  // of these bytes
};

received receive(int fd, std::span<std::byte> into) {
    iovec part{into.data(), into.size()};
    // Room for credentials and nothing else: descriptors that are sent along are dropped by the kernel.
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    received out{::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), std::nullopt};
    auto const* const extra = out.count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (extra != nullptr && extra->cmsg_level == SOL_SOCKET && extra->cmsg_type == SCM_CREDENTIALS)
        std::memcpy(&out.sender.emplace(), CMSG_DATA(extra), sizeof(ucred));
    return out;
}

// A frame's bytes from `done` on, as sendmsg(2).
ssize_t transmit(int fd, bytes whole, std::size_t done) {
    auto const header = frame_header(whole.size());
    auto const head = std::span(header).subspan(std::min(done, header.size()));
    auto const body = whole.subspan(done - std::min(done, header.size()));
    iovec parts[] = {{const_cast<std::byte*>(head.data()), head.size()},
                     {const_cast<std::byte*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

struct frame_server::state : std::enable_shared_from_this<state> {
    state(loop& on, unique_fd listening, frame_service what, frame_limits bounds)
        : acceptor(on.context(), unix_socket(), listening.release()),
          turn(on.context(), steady_clock::time_point::max()),
          service(std::move(what)),
          limits(bounds) {
        // Accepted sockets inherit it, so the credentials of what was sent before accept(2) are there as well.
        int const yes = 1;
        (void)::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    }

    unix_socket::acceptor acceptor;
    asio::steady_timer turn;  // never expires: whoever waits for it is woken one at a time
    frame_service service;
    frame_limits limits;
    std::set<connection_ptr> connections;
    std::size_t buffered = 0;
    bool answering = false;
    bool stopped = false;

    [[nodiscard]] bool allows(uid_t uid) const {
        return uid != overflow_uid && std::ranges::find(service.allowed, uid) != service.allowed.end();
    }
    void refuse(peer who) const {
        who.program = program_of(who.pid);
        if (service.refused) service.refused(who);
    }

    task<> accept() {
        auto self = shared_from_this();
        while (!stopped) {
            auto [ec, socket] = co_await acceptor.async_accept(use_result);
            if (stopped || ec == asio::error::operation_aborted) co_return;
            if (ec) {
                // Out of descriptors: try again when some are closed.
                asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(50));
                (void)co_await pause.async_wait(use_result);
                continue;
            }
            auto who = peer_of(socket.native_handle());
            if (!allows(who.uid)) refuse(who);
            else if (connections.size() < limits.connections) start(std::move(socket), std::move(who));
        }
    }

    void start(unix_socket::socket socket, peer who) {
        auto c = std::make_shared<connection>(std::move(socket), std::move(who), limits.frame_bytes);
        c->session = service.open(c->who);
        connections.insert(c);
        asio::co_spawn(acceptor.get_executor(), serve(std::move(c)), or_die);
    }

    task<> serve(connection_ptr c) {
        auto self = shared_from_this();
        co_await converse(c);
        buffered -= c->input.capacity();
        connections.erase(c);
        c->clock.cancel();
        hang_up(c->socket);
    }

    task<> converse(connection_ptr c) {
        for (;;) {
            limit(c, limits.idle_time);
            bool const arrived = co_await read_frame(c);
            if (!arrived) co_return;
            co_await take_turn();
            if (!c->session) co_return;
            auto const out = c->session->answer(*c->input.frame());
            auto const before = c->input.capacity();
            c->input.pop();
            buffered -= before - c->input.capacity();
            // Most answers fit into the socket at once; whoever does not read his does not keep the turn.
            auto const begun = out ? transmit(c->socket.native_handle(), *out, 0) : 0;
            co_await pass_turn();
            if (!out || !c->session) co_return;
            limit(c, limits.frame_time);
            bool const sent = co_await write_frame(c, *out, static_cast<std::size_t>(std::max<ssize_t>(begun, 0)));
            if (!sent) co_return;
            c->session->sent();
        }
    }

    task<bool> read_frame(connection_ptr c) {
        bool counting = false;
        while (c->session && !c->input.frame()) {
            if (c->input.has_started() && !counting) {
                limit(c, limits.frame_time);
                counting = true;
            }
            auto [ec] = co_await c->socket.async_wait(unix_socket::socket::wait_read, use_result);
            if (ec || !c->session || !take_bytes(*c)) co_return false;
        }
        co_return c->session != nullptr;
    }

    bool take_bytes(connection& c) {
        if (c.input.space().empty()) {
            if (buffered + c.input.growth() > limits.buffer_bytes) return false;
            buffered += c.input.growth();
            if (!c.input.grow()) return false;
        }
        auto const got = receive(c.socket.native_handle(), c.input.space());
        if (got.count < 0) return errno == EAGAIN || errno == EINTR;
        if (got.count == 0 || !is_from_peer(c, got.sender)) return false;
        return c.input.added(static_cast<std::size_t>(got.count)).has_value();
    }

    bool is_from_peer(connection const& c, std::optional<ucred> const& sender) const {
        if (sender && sender->pid == c.who.pid && allows(sender->uid)) return true;
        if (sender) refuse({sender->uid, sender->gid, sender->pid, ""});
        return false;
    }

    task<bool> write_frame(connection_ptr c, bytes payload, std::size_t done) {
        while (done < frame_header_bytes + payload.size()) {
            auto const sent = transmit(c->socket.native_handle(), payload, done);
            if (sent >= 0) {
                done += static_cast<std::size_t>(sent);
                continue;
            }
            if (errno != EAGAIN && errno != EINTR) co_return false;
            auto [ec] = co_await c->socket.async_wait(unix_socket::socket::wait_write, use_result);
            if (ec || !c->session) co_return false;
        }
        co_return true;
    }

    task<> take_turn() {
        if (!std::exchange(answering, true)) co_return;
        auto [ec] = co_await turn.async_wait(use_result);  // pass_turn() hands it over
        (void)ec;
    }
    // Whatever else became ready in the loop comes first, then the one of ours that waits longest.
    task<> pass_turn() {
        co_await asio::post(acceptor.get_executor(), asio::use_awaitable);
        if (turn.cancel_one() == 0) answering = false;
    }

    void stop() {
        stopped = true;
        boost::system::error_code ignored;
        acceptor.close(ignored);
        for (auto const& c : connections) {
            c->session.reset();
            hang_up(c->socket);
        }
        turn.cancel();
        service = {};
    }
};

frame_server::frame_server(loop& on, unique_fd listening, frame_service service, frame_limits limits)
    : state_(std::make_shared<state>(on, std::move(listening), std::move(service), limits)) {
    asio::co_spawn(on.context(), state_->accept(), or_die);
}

frame_server::~frame_server() {
    state_->stop();
}

}  // namespace scratchd::ipc
