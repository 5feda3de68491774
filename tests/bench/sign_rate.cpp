// Asks an ssh-agent for signatures with each of its keys, one after the other on each connection.
//
//   sign_rate SOCKET SECONDS CONNECTIONS        prints a line a key: TYPE RATE P50 P99, per second and microseconds
//   sign_rate --get SOCKET SECONDS CONNECTIONS  the same for a job's credential "data" on its credential socket
#include "agent/crypto/ssh_wire.hpp"
#include "agent/ipc/frame_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <string>
#include <vector>

namespace {
using namespace scratchd;
using clock_type = std::chrono::steady_clock;

std::span<std::byte const> bytes(std::string const& text) {
    return std::as_bytes(std::span(text));
}

struct measure {
    char const* socket;
    double seconds;
    int connections;

    // What each request on one connection took, in microseconds.
    [[nodiscard]] result<std::vector<double>> one(std::string const& request, char expected) const {
        SCRATCHD_TRY(auto server, ipc::frame_client::connect(socket, deadline::in(std::chrono::seconds(5))));
        std::vector<double> took;
        auto const start = clock_type::now();
        for (auto last = start; last - start < std::chrono::duration<double>(seconds);) {
            SCRATCHD_TRY(auto const reply, server.ask(bytes(request), deadline::in(std::chrono::seconds(10))));
            if (static_cast<char>(reply.bytes().front()) != expected) return fail(errc::bad_reply, "refused");
            auto const now = clock_type::now();
            took.push_back(std::chrono::duration<double, std::micro>(now - last).count());
            last = now;
        }
        return took;
    }

    [[nodiscard]] result<> operator()(std::string const& name, std::string const& request, char expected) const {
        std::vector<std::future<result<std::vector<double>>>> all;
        for (int i = 0; i < connections; ++i)
            all.push_back(std::async(std::launch::async, [&] { return one(request, expected); }));
        std::vector<double> took;
        for (auto& f : all) {
            SCRATCHD_TRY(auto const part, f.get());
            took.insert(took.end(), part.begin(), part.end());
        }
        std::ranges::sort(took);
        std::printf("%s %.0f %.1f %.1f\n", name.c_str(), static_cast<double>(took.size()) / seconds,
                    took[took.size() / 2], took[took.size() * 99 / 100]);
        return {};
    }
};

// A login as ssh would have it signed.
std::string request_for(std::string_view blob) {
    wire_writer data;
    data.string(std::string(32, 's')).byte(50).string("alice").string("ssh-connection").string("publickey").byte(1);
    auto const login = data.string("algorithm").string(blob).take();
    return wire_writer().byte(13).string(blob).string(login).u32(4).take();
}

result<> sign_with_each_key(measure const& m) {
    SCRATCHD_CHECK(m("list", "\x0b", 12));
    SCRATCHD_TRY(auto agent, ipc::frame_client::connect(m.socket, deadline::in(std::chrono::seconds(5))));
    SCRATCHD_TRY(auto const list, agent.ask(bytes("\x0b"), deadline::in(std::chrono::seconds(5))));
    wire_reader in(list.bytes().subspan(1));
    for (auto left = in.u32(); left > 0 && !in.has_failed(); --left) {
        auto const blob = in.text();
        (void)in.string();
        std::string const type(wire_reader(std::as_bytes(std::span(blob))).text());
        SCRATCHD_CHECK(m(type, request_for(blob), 14));
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    bool const is_get = argc == 5 && std::strcmp(argv[1], "--get") == 0;
    if (argc != 4 && !is_get) return 2;
    measure const m{argv[argc - 3], std::strtod(argv[argc - 2], nullptr), std::atoi(argv[argc - 1])};
    auto const done = is_get ? m("get", R"({"op":"get","name":"data"})", 0) : sign_with_each_key(m);
    if (!done) std::fprintf(stderr, "sign_rate: %s\n", done.error().message().c_str());
    return done ? 0 : 1;
}
