// Serves a job's sockets from files, with the broker's own classes: for tests with real clients. Not installed.
//
//   socket_host UID AGENT_SOCKET CREDENTIAL_SOCKET WHAT...
//   WHAT: ssh NAME FILE HOSTS | registry NAME HOST USER FILE | secret NAME FILE | quiet
//   HOSTS: fingerprints, commas, or -
//
// Prints "ready" when both sockets are there, then a line for each thing that is told of for the audit log;
// with "quiet" none.
#include "agent/base/file.hpp"
#include "agent/broker/job_socket.hpp"
#include "agent/broker/ssh_agent.hpp"
#include "agent/ipc/listen.hpp"
#include "tests/support/fake_source.hpp"

#include <fmt/format.h>
#include <csignal>
#include <cstring>
#include <deque>

namespace {
using namespace scratchd;

// A test's secret, so it may pass through a std::string.
secret load(std::string const& file) {
    auto const text = read_file(file);
    auto made = text ? secret::make(text->size()) : fail(errc::io, file);
    if (!made) {
        fmt::print(stderr, "socket_host: {}\n", file);
        std::exit(1);
    }
    if (!text->empty()) std::memcpy(made->bytes().data(), text->data(), text->size());
    return *std::move(made);
}

std::vector<std::string> split(std::string const& text) {
    std::vector<std::string> all;
    for (std::size_t at = 0; text != "-" && at <= text.size();) {
        auto const end = std::min(text.find(',', at), text.size());
        all.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return all;
}

bool is_quiet = false;

void add(fake_source& source, std::deque<std::string> words) {
    auto const next = [&] {
        auto word = words.empty() ? "" : words.front();
        if (!words.empty()) words.pop_front();
        return word;
    };
    while (!words.empty()) {
        credential_config c;
        c.kind = next();
        is_quiet = is_quiet || c.kind == "quiet";
        if (c.kind == "quiet") continue;
        c.name = next();
        if (c.kind == "registry") c.registry = next();
        if (c.kind == "registry") c.username = next();
        auto const file = next();
        if (c.kind == "ssh") c.hosts = split(next());
        source.add(std::move(c), load(file));
    }
}

template <class... Words>
void say(fmt::format_string<Words...> pattern, Words&&... words) {
    if (is_quiet) return;
    fmt::print(pattern, std::forward<Words>(words)...);
    std::fflush(stdout);
}

ipc::frame_service service(uid_t owner, decltype(ipc::frame_service::open) open) {
    return {{owner}, std::move(open), [](ipc::peer const& who) {
                say("refused uid={} program={}\n", who.uid, who.program);
            }};
}

unique_fd listen(char const* path) {
    auto made = ipc::listen_at(path, {.mode = 0666});
    if (made) return *std::move(made);
    fmt::print(stderr, "socket_host: {}\n", made.error().message());
    std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    fake_source source;
    add(source, {argv + 4, argv + argc});
    auto const owner = static_cast<uid_t>(std::stoul(argv[1]));
    broker::key_ring keys(source,
                          [](std::string const& name, error const& e) { say("no key {}: {}\n", name, e.message()); });
    ipc::loop loop;
    auto agent_open = broker::ssh_agent_sessions(keys, [](ipc::peer const&, broker::agent_event const& e) {
        say("sign credential={} user={} host={} refusal={}\n", e.credential, e.user, e.host, e.refusal);
    });
    auto job_open = broker::job_sessions(source, [](ipc::peer const&, broker::job_event const& e) {
        say("{} credential={} asked={} problem={}\n", e.op, e.credential, e.asked,
            e.problem ? code_text(*e.problem) : "");
    });
    ipc::frame_server const agent(loop, listen(argv[2]), service(owner, std::move(agent_open)));
    ipc::frame_server const job(loop, listen(argv[3]), service(owner, std::move(job_open)), broker::job_socket_limits);
    loop.on_signals({SIGTERM, SIGINT}, [&](int) { loop.stop(); });
    fmt::print("ready\n");
    std::fflush(stdout);
    loop.run();
}
