#include "agent/broker/root_link.hpp"

#include "agent/base/log.hpp"
#include "agent/ipc/packet.hpp"
#include "agent/vault/gate.hpp"

#include <sys/socket.h>
#include <algorithm>
#include <array>
#include <optional>

namespace scratchd::broker {
namespace {

constexpr std::array<std::string_view, 4> answers{"source", "no-source", "file", "committed"};

}  // namespace

struct root_link::question {
    vault::gate answered;
    std::optional<result<root_packet>> answer;

    void set(result<root_packet> with) {
        answer.emplace(std::move(with));
        answered.open();
    }
};

root_link::root_link(ipc::loop& on, unique_fd listening, events tell)
    : loop_(on), listening_(std::move(listening)), events_(std::move(tell)) {
    accepting_ = loop_.on_readable(listening_.get(), [this] { accept(); });
}

root_link::~root_link() = default;

void root_link::accept() {
    unique_fd made(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!made) return;
    ucred who{};
    socklen_t size = sizeof who;
    // A root of a user namespace has its own number here, not 0 (unix(7), user_namespaces(7)).
    if (::getsockopt(made.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != 0) {
        log::warn("root-link.refused", {{"uid", who.uid}, {"pid", who.pid}});
        return;
    }
    drop();
    socket_ = std::move(made);
    ++connection_;
    reading_ = loop_.on_readable(socket_.get(), [this] { readable(); });
}

void root_link::drop() {
    reading_.reset();
    socket_.reset();
    for (auto& [serial, asked] : std::exchange(waiting_, {}))
        asked->set(fail(errc::broker_unreachable, "scratchd went away"));
}

void root_link::readable() {
    while (socket_) {
        auto got = ipc::receive_packet(socket_.get());
        auto message = got && *got ? api::decode_channel((*got)->bytes)
                                   : result<api::channel_message>(fail(errc::broker_unreachable, "closed"));
        if (got && !*got) return;
        if (!message) {
            if (got) log::error("root-link.malformed", {{"reason", message.error().what}});
            drop();
            return events_.lost();
        }
        root_packet packet{*std::move(message), std::move((*got)->fds), connection_};
        if (std::ranges::find(answers, packet.message.op) == answers.end()) {
            events_.asked(std::move(packet));
            continue;
        }
        auto asked = waiting_.extract(packet.message.serial.value_or(0));
        if (!asked) continue;
        if (packet.message.code) asked.mapped()->set(std::unexpected(api::refused(packet.message)));
        else asked.mapped()->set(std::move(packet));
    }
}

void root_link::answer(std::uint64_t connection, api::channel_message const& message) {
    if (connection == connection_) send(message);
}

void root_link::send(api::channel_message const& message) {
    if (!socket_) return;
    if (auto sent = ipc::send_packet(socket_.get(), api::encode(message)); !sent)
        log::error("root-link.send-failed", {{"reason", sent.error().message()}});
}

task<result<root_packet>> root_link::ask(api::channel_message message, deadline until) {
    if (!socket_) co_return fail(errc::broker_unreachable, "scratchd is not connected");
    auto const serial = ++serial_;
    message.serial = serial;
    auto asked = std::make_shared<question>();
    waiting_[serial] = asked;
    send(message);
    bool const answered = co_await asked->answered.wait(until);
    waiting_.erase(serial);
    if (!answered) co_return fail(errc::timed_out, "scratchd gave no answer in time");
    co_return *std::move(asked->answer);
}

}  // namespace scratchd::broker
