#include "agent/broker/conversation.hpp"

#include "agent/base/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace scratchd::broker {
namespace {

// An exception here is a bug or the end of memory: it leaves loop::run() and ends the process.
constexpr auto or_die = [](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
};

deadline limit_of(api::channel_message const& message, config const& settings) {
    if (!message.budget_ms) return deadline::in(settings.broker.budget);
    auto const given = std::chrono::milliseconds(*message.budget_ms);
    return deadline::in(std::clamp(given, std::chrono::milliseconds(100), settings.broker.budget));
}

// Two sockets, then a file each.
constexpr std::size_t sockets = 2;

}  // namespace

void conversation::asked(root_packet packet) {
    auto const& message = packet.message;
    if (message.op == "hello") {
        ++connection_;
        grants_.abandon();
        grants_.keep_only(message.jobs.value_or(std::vector<std::string>{}));
        return;
    }
    if (message.op == "grant") {
        boost::asio::co_spawn(loop_.context(), give(std::move(packet)), or_die);
        return;
    }
    if (message.op == "resync") {
        boost::asio::co_spawn(loop_.context(), resync(message, packet.connection), or_die);
        return;
    }
    api::channel_message reply;
    reply.serial = message.serial;
    reply.op = "revoked";
    if (message.op == "revoke") grants_.revoke(message.job.value_or(""));
    else reply = api::refusal(message.serial.value_or(0), "refused", {errc::bad_request, 0, "not understood"});
    root_.answer(packet.connection, reply);
}

task<> conversation::give(root_packet packet) {
    auto& message = packet.message;
    auto const serial = message.serial.value_or(0);
    auto const files = message.files.value_or(std::vector<std::string>{});
    auto outcome = result<>(fail(errc::bad_request, "a grant without its descriptors"));
    if (message.job && message.uid && message.credentials && packet.fds.size() == sockets + files.size()) {
        grant_request request{*message.job,
                              message.user.value_or(""),
                              *message.uid,
                              message.groups.value_or(std::vector<std::string>{}),
                              *message.credentials,
                              files,
                              std::move(packet.fds[0]),
                              std::move(packet.fds[1]),
                              {}};
        for (std::size_t i = sockets; i < packet.fds.size(); ++i) request.outlets.push_back(std::move(packet.fds[i]));
        auto const until = limit_of(message, config_);
        outcome = co_await grants_.give(std::move(request), until);
    }
    api::channel_message granted;
    granted.op = "granted";
    granted.serial = serial;
    root_.answer(packet.connection, outcome ? granted : api::refusal(serial, "refused", outcome.error()));
}

task<> conversation::resync(api::channel_message message, std::uint64_t connection) {
    auto const until = limit_of(message, config_);
    auto outcome = co_await grants_.resync(until);
    api::channel_message done;
    done.op = "resynced";
    done.serial = message.serial;
    root_.answer(connection, outcome ? done : api::refusal(message.serial.value_or(0), "resynced", outcome.error()));
}

void conversation::lost() {
    grants_.abandon();
    if (grants_.size() == 0) return;
    log::warn("root-link.lost", {{"jobs", grants_.size()}});
    loop_.after(config_.broker.max_age, [this, then = connection_] {
        if (connection_ == then) grants_.keep_only({});
    });
}

}  // namespace scratchd::broker
