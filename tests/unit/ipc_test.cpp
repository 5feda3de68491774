#include "agent/ipc/http_client.hpp"
#include "agent/ipc/http_server.hpp"
#include "agent/ipc/listen.hpp"
#include "agent/ipc/router.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <csignal>
#include <cstring>
#include <thread>

using namespace scratchd;
using ipc::find_route;

namespace {

constexpr ipc::route routes[] = {
    {"GET", "/v1/status"}, {"GET", "/v1/jobs"}, {"POST", "/v1/jobs"}, {"GET", "/v1/jobs/{id}/env"}};

// A server on a thread of its own, with a socket in a temporary folder.
struct served {
    temp_folder folder;
    std::filesystem::path socket = folder.path() / "s";
    ipc::loop loop;
    std::unique_ptr<ipc::http_server> server;
    std::thread thread;

    explicit served(ipc::handler answer, ipc::server_limits limits = {}) {
        server = std::make_unique<ipc::http_server>(loop, must(ipc::listen_at(socket, {})), limits, std::move(answer));
        thread = std::thread([this] { loop.run(); });
    }
    served(served const&) = delete;
    served& operator=(served const&) = delete;
    ~served() {
        loop.post([this] { server.reset(); });
        loop.post([this] { loop.stop(); });
        thread.join();
    }

    unique_fd connect() const {
        unique_fd s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, socket.c_str());
        REQUIRE(::connect(s.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        return s;
    }
    // Sends raw bytes and reads until the server closes or has answered.
    std::string raw(std::string const& bytes) const {
        auto const s = connect();
        (void)::send(s.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        ::shutdown(s.get(), SHUT_WR);
        std::string all;
        char buffer[4096];
        for (ssize_t n = 0; (n = ::read(s.get(), buffer, sizeof buffer)) > 0;)
            all.append(buffer, static_cast<std::size_t>(n));
        return all;
    }
};

ipc::handler echo() {
    return [](ipc::request r, ipc::reply back) {
        back({200, "text/plain",
              r.method + " " + r.path + " " + r.query + " " + r.body + " " + std::to_string(r.from.uid)});
    };
}

}  // namespace

TEST_CASE("router: method and path find their route, with what stood in braces", "[ipc]") {
    CHECK(find_route(routes, "GET", "/v1/status").found->index == 0);
    CHECK(find_route(routes, "POST", "/v1/jobs").found->index == 2);
    auto const env = find_route(routes, "GET", "/v1/jobs/a%2Fb%20c/env");
    REQUIRE(env.found.has_value());
    CHECK(env.found->parameters == std::vector<std::string>{"a/b c"});
}

TEST_CASE("router: everything else is refused for a reason", "[ipc]") {
    using enum ipc::no_match;
    CHECK(find_route(routes, "DELETE", "/v1/jobs").why == method_not_allowed);
    for (char const* path :
         {"/", "/v1", "/v1/status/", "/v1/statuS", "/v1//status", "/v2/status", "/v1/jobs/1", "/v1/jobs/1/env/x"}) {
        INFO(path);
        CHECK(find_route(routes, "GET", path).why == not_found);
        CHECK_FALSE(find_route(routes, "GET", path).found.has_value());
    }
    for (char const* path : {"", "v1/status", "/v1/jobs/%/env", "/v1/jobs/%2/env", "/v1/jobs/%zz/env"})
        CHECK(find_route(routes, "GET", path).why == malformed);
}

TEST_CASE("server: a request arrives whole, with who sent it", "[ipc]") {
    served s(echo());
    auto const answer = must(ipc::send(s.socket, {"POST", "/a/b?q=1", "body", std::chrono::seconds(5)}));
    CHECK(answer.status == 200);
    CHECK(answer.body == "POST /a/b q=1 body " + std::to_string(getuid()));
    CHECK(answer.content_type == "text/plain");
}

TEST_CASE("server: the answer may come later and from another thread", "[ipc]") {
    std::jthread later;
    served s([&](ipc::request, ipc::reply back) {
        later = std::jthread([back] {
            std::this_thread::yield();
            back({503, "text/plain", "later"});
        });
    });
    auto const answer = must(ipc::send(s.socket, {"GET", "/", "", std::chrono::seconds(5)}));
    CHECK(answer.status == 503);
    CHECK(answer.body == "later");
}

TEST_CASE("server: too much, too slow and nonsense are refused, and the next request works", "[ipc]") {
    served s(echo(), {1000, 8, std::chrono::milliseconds(200)});
    CHECK_THAT(s.raw("POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x')),
               ContainsSubstring(" 413 "));
    CHECK_THAT(s.raw("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n"), ContainsSubstring(" 413 "));
    CHECK(s.raw("nonsense\r\n\r\n").empty());
    CHECK(s.raw(std::string(100, '\0')).empty());
    CHECK(s.raw("GET / HTTP/1.1\r\nHost").empty());
    CHECK(s.raw("").empty());
    {
        auto const idle = s.connect();  // sends nothing: closed after the limit
        char byte = 0;
        CHECK(::read(idle.get(), &byte, 1) == 0);
    }
    CHECK(must(ipc::send(s.socket, {"GET", "/", "", std::chrono::seconds(5)})).status == 200);
}

TEST_CASE("server: one user cannot take all connections", "[ipc]") {
    served s(echo(), {1000, 8, std::chrono::milliseconds(60000)});
    std::vector<unique_fd> held;
    for (int i = 0; i < 4; ++i) {
        held.push_back(s.connect());
        // One byte of a request: the server has accepted it when it is read, but no event tells. Ask on it instead.
        std::string const ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        REQUIRE(::send(held.back().get(), ask.data(), ask.size(), 0) > 0);
        char byte = 0;
        REQUIRE(::read(held.back().get(), &byte, 1) == 1);
    }
    auto const fifth = s.connect();
    (void)::send(fifth.get(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, MSG_NOSIGNAL);
    char byte = 0;
    CHECK(::read(fifth.get(), &byte, 1) <= 0);  // no answer: closed
}

TEST_CASE("server: all users together cannot take more connections than there are", "[ipc]") {
    if (::geteuid() != 0) {
        WARN("needs root, to be several users: skipped");
        return;
    }
    served s(echo(), {1000, 8, std::chrono::milliseconds(60000)});
    REQUIRE(::chmod(s.folder.path().c_str(), 0755) == 0);
    REQUIRE(::chmod(s.socket.c_str(), 0666) == 0);
    std::vector<unique_fd> held;
    auto const answered = [&](uid_t uid) {
        REQUIRE(::syscall(SYS_setresuid, -1, uid, -1) == 0);  // this thread alone
        held.push_back(s.connect());
        REQUIRE(::syscall(SYS_setresuid, -1, 0, -1) == 0);
        std::string const ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        (void)::send(held.back().get(), ask.data(), ask.size(), MSG_NOSIGNAL);
        char byte = 0;
        return ::read(held.back().get(), &byte, 1) == 1;
    };
    for (uid_t const uid : {0, 0, 0, 0, 1001, 1001, 1001, 1001}) REQUIRE(answered(uid));
    CHECK_FALSE(answered(1002));
}

TEST_CASE("server: several requests on one connection", "[ipc]") {
    served s(echo());
    auto const answer =
        s.raw("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK_THAT(answer, ContainsSubstring("GET /1") && ContainsSubstring("GET /2"));
}

TEST_CASE("client: nobody there, not allowed, too late, no HTTP", "[ipc]") {
    temp_folder const t;
    CHECK(fails_with(ipc::send(t.path() / "none", {}), errc::daemon_unreachable));
    {
        auto const listening = must(ipc::listen_at(t.path() / "silent", {}));
        CHECK(fails_with(ipc::send(t.path() / "silent", {"GET", "/", "", std::chrono::milliseconds(50)}),
                         errc::timed_out));
    }
    CHECK(fails_with(ipc::send(t.path() / "silent", {}), errc::daemon_unreachable));  // nobody listens any more
}

TEST_CASE("listen: the socket has its mode from the start and replaces a dead one", "[ipc]") {
    temp_folder const t;
    for (int i = 0; i < 2; ++i) {
        auto const fd = must(ipc::listen_at(t.path() / "s", {.mode = 0660, .group = ipc::group_id("no-such-group")}));
        struct stat st{};
        REQUIRE(stat((t.path() / "s").c_str(), &st) == 0);
        CHECK((st.st_mode & 0777) == 0660);
    }
    CHECK_FALSE(ipc::listen_at(t.path() / std::string(200, 'x'), {}).has_value());
}

TEST_CASE("loop: a watch that was replaced in its own handler does not deafen the next one of that number", "[ipc]") {
    auto const pair = [] {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
        return fds;
    };
    auto const first = pair();
    auto const second = pair();
    ipc::loop loop;
    ipc::loop::watch watch;
    bool heard = false;
    watch = loop.on_readable(first[0], [&] {
        watch.reset();
        REQUIRE(::dup2(second[0], first[0]) == first[0]);  // closes it, and its number is in use again at once
        watch = loop.on_readable(first[0], [&] {
            heard = true;
            loop.stop();
        });
        loop.post([&] { CHECK(::write(second[1], "x", 1) == 1); });
    });
    REQUIRE(::write(first[1], "x", 1) == 1);
    loop.after(std::chrono::seconds(5), [&] { loop.stop(); });
    loop.run();
    CHECK(heard);
    watch.reset();
    for (int const fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}
