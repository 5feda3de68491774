#include "agent/ipc/frame_client.hpp"

#include "agent/ipc/frame_buffer.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <array>
#include <cerrno>
#include <cstring>

namespace scratchd::ipc {
namespace {

constexpr std::size_t largest_reply = 1U << 20U;

result<> wait_for(int fd, short events, deadline until) {
    pollfd one{fd, events, 0};
    int const ready = ::poll(&one, 1, static_cast<int>(until.left().count()));
    if (ready < 0 && errno != EINTR) return fail_errno("poll");
    if (ready <= 0 && until.passed()) return fail(errc::timed_out, "no answer from scratchd-broker in time");
    return {};
}

}  // namespace

result<frame_client> frame_client::connect(std::string const& path, deadline until) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(errc::bad_request, "the socket's path is too long");
    std::memcpy(address.sun_path, path.data(), path.size());
    unique_fd made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!made) return fail_errno("socket");
    // A full backlog makes connect(2) wait; this is what bounds it (unix(7) has no other way).
    auto const left = std::max<long>(1, until.left().count());
    timeval const patience{left / 1000, left % 1000 * 1000};
    if (::setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0)
        return fail_errno("setsockopt SO_SNDTIMEO");
    if (::connect(made.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0)
        return frame_client(std::move(made));
    int const sys = errno;
    if (sys == EAGAIN) return fail(errc::timed_out, "scratchd-broker does not accept");
    return fail(sys == EACCES ? errc::not_permitted : errc::broker_unreachable, path, sys);
}

result<> frame_client::send(std::span<std::byte const> payload, deadline until) {
    auto header = frame_header(payload.size());
    iovec parts[] = {{header.data(), header.size()}, {const_cast<std::byte*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        auto const sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            SCRATCHD_CHECK(wait_for(socket_.get(), POLLOUT, until));
            continue;
        }
        if (sent < 0 && errno != EINTR) return fail_errno("send to scratchd-broker", errc::broker_unreachable);
        for (auto left = static_cast<std::size_t>(std::max<ssize_t>(sent, 0)); auto& part : parts) {
            auto const taken = std::min(left, part.iov_len);
            part.iov_base = static_cast<std::byte*>(part.iov_base) + taken;
            part.iov_len -= taken;
            left -= taken;
        }
    }
    return {};
}

result<> frame_client::receive(std::span<std::byte> into, deadline until) {
    while (!into.empty()) {
        auto const got = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
        if (got > 0) into = into.subspan(static_cast<std::size_t>(got));
        else if (got == 0) return fail(errc::broker_unreachable, "scratchd-broker closed the connection");
        else if (errno == EAGAIN) SCRATCHD_CHECK(wait_for(socket_.get(), POLLIN, until));
        else if (errno != EINTR) return fail_errno("answer of scratchd-broker", errc::broker_unreachable);
    }
    return {};
}

result<secret> frame_client::ask(std::span<std::byte const> payload, deadline until) {
    SCRATCHD_CHECK(send(payload, until));
    std::array<std::byte, frame_header_bytes> header{};
    SCRATCHD_CHECK(receive(header, until));
    auto const size = payload_bytes(header);
    if (size == 0 || size > largest_reply) return fail(errc::bad_reply, "an answer of a size that cannot be");
    SCRATCHD_TRY(auto out, secret::make(size));
    SCRATCHD_CHECK(receive(out.bytes(), until));
    return out;
}

}  // namespace scratchd::ipc
