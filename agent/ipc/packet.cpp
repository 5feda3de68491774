#include "agent/ipc/packet.hpp"

#include <sys/socket.h>
#include <cerrno>
#include <cstring>

namespace scratchd::ipc {
namespace {

constexpr std::size_t control_bytes = CMSG_SPACE(most_descriptors * sizeof(int));

// Takes every descriptor into ownership first: what is refused must not leak.
std::vector<unique_fd> take_descriptors(msghdr& message) {
    std::vector<unique_fd> all;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        auto const count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            all.emplace_back(fd);
        }
    }
    return all;
}

}  // namespace

result<> send_packet(int socket, std::string_view bytes, std::span<int const> fds) {
    if (bytes.empty() || bytes.size() > largest_packet || fds.size() > most_descriptors)
        return fail(errc::internal, "a packet too large to send");
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[control_bytes] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
    }
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return fail_errno("send to the other daemon", errc::broker_unreachable);
    return {};
}

result<std::optional<packet>> receive_packet(int socket) {
    packet got;
    got.bytes.resize(largest_packet);
    iovec part{got.bytes.data(), got.bytes.size()};
    alignas(cmsghdr) char control[control_bytes];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto const size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<packet>{};
    if (size < 0) return fail_errno("receive from the other daemon", errc::broker_unreachable);
    got.fds = take_descriptors(message);
    if (size == 0) return fail(errc::broker_unreachable, "the other daemon closed the connection");
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return fail(errc::bad_request, "a packet too large");
    got.bytes.resize(static_cast<std::size_t>(size));
    return got;
}

}  // namespace scratchd::ipc
