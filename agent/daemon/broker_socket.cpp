#include "agent/daemon/broker_socket.hpp"

#include "agent/ipc/listen.hpp"
#include "agent/ipc/packet.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/socket.h>
#include <algorithm>
#include <array>

namespace scratchd {
namespace {

// Answers to our questions; everything else is a question of the broker's.
constexpr std::array<std::string_view, 4> answers{"granted", "refused", "revoked", "resynced"};

result<uid_t> uid_of(std::string const& user) {
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> buffer{};
    if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return fail(errc::broker_unreachable, fmt::format("there is no user {}", user));
    return found->pw_uid;
}

// SO_PEERCRED of a connected socket is who listened (unix(7)).
result<> check_listener(int socket, uid_t expected) {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return fail_errno("SO_PEERCRED");
    if (who.uid != expected)
        return fail(errc::not_permitted, fmt::format("uid {} listens where the broker should", who.uid));
    return {};
}

}  // namespace

result<> broker_socket::connect() {
    if (socket_) return {};
    SCRATCHD_TRY(auto const uid, uid_of(settings_.user));
    auto made = ipc::connect_to(settings_.path, SOCK_SEQPACKET);
    if (!made) return fail(errc::broker_unreachable, settings_.path.string(), made.error().sys);
    SCRATCHD_CHECK(check_listener(made->get(), uid));
    socket_ = *std::move(made);
    watch_ = loop_.on_readable(socket_.get(), [this] { readable(); });
    return {};
}

void broker_socket::close(error const& why) {
    if (!socket_) return;
    watch_.reset();
    socket_.reset();
    for (auto& [serial, done] : std::exchange(waiting_, {})) done(std::unexpected(why));
    events_.lost(why);
}

result<> broker_socket::send(api::channel_message const& message, std::vector<int> const& fds) {
    if (!socket_) return fail(errc::broker_unreachable, "not connected");
    auto sent = ipc::send_packet(socket_.get(), api::encode(message), fds);
    if (!sent) close(sent.error());
    return sent;
}

void broker_socket::ask(api::channel_message message, std::vector<int> const& fds, std::chrono::milliseconds limit,
                        answer done) {
    auto const serial = ++serial_;
    message.serial = serial;
    waiting_[serial] = std::move(done);
    if (auto sent = send(message, fds); !sent) {
        if (auto late = waiting_.extract(serial)) late.mapped()(std::unexpected(sent.error()));
        return;
    }
    loop_.after(limit, [this, serial] {
        if (auto late = waiting_.extract(serial))
            late.mapped()(fail(errc::timed_out, "scratchd-broker gave no answer in time"));
    });
}

void broker_socket::readable() {
    // Bounded, so that a broker that floods cannot keep the loop.
    for (int i = 0; socket_ && i < 16; ++i) {
        auto got = ipc::receive_packet(socket_.get());
        if (!got) return close(got.error());
        if (!*got) return;
        auto message = api::decode_channel((*got)->bytes);
        if (!message || !message->serial) return close({errc::bad_request, 0, "the broker sent what is no message"});
        if (std::ranges::find(answers, message->op) == answers.end()) {
            events_.asked({*std::move(message), std::move((*got)->fds)});
            continue;
        }
        if (auto asked = waiting_.extract(*message->serial))
            asked.mapped()(channel_packet{*std::move(message), std::move((*got)->fds)});
    }
}

}  // namespace scratchd
