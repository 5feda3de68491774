// Asks an ssh-agent for signatures, one after the other on one connection, with each of its keys.
//
//   sign_rate SOCKET SECONDS        prints a line a key: TYPE RATE P50 P99, per second and microseconds
//   sign_rate --get SOCKET SECONDS  the same for a job's credential "data" on its credential socket
#include "agent/crypto/ssh_wire.hpp"
#include "agent/ipc/frame_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {
using namespace scratchd;
using clock_type = std::chrono::steady_clock;

std::span<std::byte const> bytes(std::string const& text) {
    return std::as_bytes(std::span(text));
}

result<> measure(ipc::frame_client& agent, std::string const& name, std::string const& request, char expected,
                 double seconds) {
    std::vector<double> took;
    auto const start = clock_type::now();
    auto last = start;
    while (last - start < std::chrono::duration<double>(seconds)) {
        SCRATCHD_TRY(auto const reply, agent.ask(bytes(request), deadline::in(std::chrono::seconds(10))));
        if (static_cast<char>(reply.bytes().front()) != expected) return fail(errc::bad_reply, "refused");
        auto const now = clock_type::now();
        took.push_back(std::chrono::duration<double, std::micro>(now - last).count());
        last = now;
    }
    auto const whole = std::chrono::duration<double>(last - start).count();
    std::ranges::sort(took);
    auto const count = took.size();
    std::printf("%s %.0f %.1f %.1f\n", name.c_str(), static_cast<double>(count) / whole, took[count / 2],
                took[count * 99 / 100]);
    return {};
}

// A login as ssh would have it signed.
std::string request_for(std::string_view blob) {
    wire_writer data;
    data.string(std::string(32, 's')).byte(50).string("alice").string("ssh-connection").string("publickey").byte(1);
    auto const login = data.string("algorithm").string(blob).take();
    return wire_writer().byte(13).string(blob).string(login).u32(4).take();
}

result<> run(char const* socket, double seconds) {
    SCRATCHD_TRY(auto agent, ipc::frame_client::connect(socket, deadline::in(std::chrono::seconds(5))));
    SCRATCHD_CHECK(measure(agent, "list", "\x0b", 12, seconds));
    SCRATCHD_TRY(auto const list, agent.ask(bytes("\x0b"), deadline::in(std::chrono::seconds(5))));
    wire_reader in(list.bytes().subspan(1));
    for (auto left = in.u32(); left > 0 && !in.has_failed(); --left) {
        auto const blob = in.text();
        (void)in.string();
        std::string const type(wire_reader(std::as_bytes(std::span(blob))).text());
        SCRATCHD_CHECK(measure(agent, type, request_for(blob), 14, seconds));
    }
    return {};
}

result<> run_get(char const* socket, double seconds) {
    SCRATCHD_TRY(auto job, ipc::frame_client::connect(socket, deadline::in(std::chrono::seconds(5))));
    return measure(job, "get", R"({"op":"get","name":"data"})", 0, seconds);
}

}  // namespace

int main(int argc, char** argv) {
    bool const is_get = argc == 4 && std::strcmp(argv[1], "--get") == 0;
    if (argc != 3 && !is_get) return 2;
    auto const seconds = std::strtod(argv[argc - 1], nullptr);
    auto const done = is_get ? run_get(argv[2], seconds) : run(argv[1], seconds);
    if (!done) std::fprintf(stderr, "sign_rate: %s\n", done.error().message().c_str());
    return done ? 0 : 1;
}
