#include "agent/ctl/progress.hpp"

#include "agent/api/codec.hpp"
#include "agent/ipc/http_client.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

namespace scratchd::ctl {
namespace {

constexpr auto patience = std::chrono::milliseconds(400);
constexpr auto tick = std::chrono::milliseconds(200);

std::string current_step(std::filesystem::path const& socket) {
    auto const reply = ipc::send(socket, {"GET", "/v1/status", "", std::chrono::seconds(1)});
    auto const now =
        reply ? api::decode<api::status>(reply->body) : result<api::status>(std::unexpected(reply.error()));
    return now ? fmt::format("{}{}{}", now->state, now->step.empty() ? "" : ": ", now->step) : "";
}

void show(std::stop_token const& ending, std::filesystem::path const& socket, std::string const& word) {
    std::mutex guard;
    std::condition_variable_any woken;
    std::unique_lock lock(guard);
    auto wait = [&](auto span) { return woken.wait_for(lock, ending, span, [&] { return ending.stop_requested(); }); };
    if (wait(patience)) return;
    auto const start = std::chrono::steady_clock::now();
    do {
        auto const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start + patience).count();
        fmt::print(stderr, "\r\033[K{} ({:.1f} s) {}", word, seconds, current_step(socket));
        std::fflush(stderr);
    } while (!wait(tick));
    fmt::print(stderr, "\r\033[K");
}

}  // namespace

progress_line::progress_line(std::filesystem::path socket, std::string word) {
    if (word.empty() || ::isatty(STDERR_FILENO) == 0) return;
    shower_ = std::jthread([socket = std::move(socket), word = std::move(word)](std::stop_token const& ending) {
        show(ending, socket, word);
    });
}

}  // namespace scratchd::ctl
