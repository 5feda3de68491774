#include "agent/ipc/frame_buffer.hpp"
#include "agent/ipc/frame_client.hpp"
#include "agent/ipc/frame_server.hpp"
#include "agent/ipc/job_path.hpp"
#include "agent/ipc/listen.hpp"
#include "tests/support/ssh_data.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <future>
#include <thread>

using namespace scratchd;
using namespace std::chrono_literals;

namespace {

constexpr uid_t somebody = 12345;

std::string framed(std::string_view payload) {
    auto const header = ipc::frame_header(payload.size());
    return std::string(as_text(header)) + std::string(payload);
}

// Answers with what it was sent; "fail" ends the connection.
struct echo final : ipc::frame_session {
    std::string held;
    result<bytes_view> answer(bytes_view frame) override {
        if (as_text(frame) == "fail") return fail(errc::bad_request, "told to");
        held = as_text(frame);
        return as_bytes(held);
    }
    void sent() override { held.clear(); }
};

// A server on a thread of its own that serves this process's user.
struct served {
    temp_folder folder;
    std::string socket = (folder.path() / "s").string();
    ipc::loop loop;
    std::unique_ptr<ipc::frame_server> server;
    std::promise<ipc::peer> refusal;
    bool told = false;
    std::thread thread;

    explicit served(ipc::frame_limits limits = {}) {
        ipc::frame_service service{{getuid()},
                                   [](ipc::peer const&) { return std::make_unique<echo>(); },
                                   [this](ipc::peer const& who) {
                                       if (!std::exchange(told, true)) refusal.set_value(who);
                                   }};
        server = std::make_unique<ipc::frame_server>(loop, must(ipc::listen_at(socket, {.mode = 0666})),
                                                     std::move(service), limits);
        ::chmod(folder.path().c_str(), 0711);
        thread = std::thread([this] { loop.run(); });
    }
    served(served const&) = delete;
    served& operator=(served const&) = delete;
    ~served() {
        loop.post([this] { server.reset(); });
        loop.post([this] { loop.stop(); });
        thread.join();
    }
    ipc::peer refused() { return refusal.get_future().get(); }

    [[nodiscard]] unique_fd connect() const {
        unique_fd s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, socket.data(), socket.size());
        // Whoever cannot connect finds out when reading.
        (void)::connect(s.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
        return s;
    }
};

void put(unique_fd const& s, std::string_view bytes) {
    (void)::send(s.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}
// Reads until the server closes.
std::string rest_of(unique_fd const& s) {
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(s.get(), buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<std::size_t>(n));
    return all;
}
std::string read_exactly(unique_fd const& s, std::size_t size) {
    std::string all(size, '\0');
    auto const got = ::recv(s.get(), all.data(), size, MSG_WAITALL);
    all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return all;
}

// What `act` returns in a child process, as another user if `uid` is given.
template <class Act>
int in_child(Act act, std::optional<uid_t> uid = {}) {
    pid_t const child = ::fork();
    if (child == 0) {
        if (uid && ::setresuid(*uid, *uid, *uid) != 0) ::_exit(99);
        ::_exit(act());
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

// 1: an answer came; 0: the connection was closed.
int asks(int fd) {
    char const frame[] = {0, 0, 0, 1, 'x'};
    char byte = 0;
    (void)::send(fd, frame, sizeof frame, MSG_NOSIGNAL);
    return ::recv(fd, &byte, 1, 0) == 1 ? 1 : 0;
}

}  // namespace

TEST_CASE("frame server: answers several frames on one connection, of any size", "[ipc][broker]") {
    served s;
    auto client = must(ipc::frame_client::connect(s.socket, deadline::in(5s)));
    for (std::size_t const size : {1U, 4092U, 4093U, 100000U, 256U << 10U}) {
        std::string const payload(size, 'x');
        CHECK(text_of(must(client.ask(as_bytes(payload), deadline::in(5s)))) == payload);
    }
    auto const raw = s.connect();
    put(raw, framed("1") + framed("22") + framed("333"));
    auto const all = framed("1") + framed("22") + framed("333");
    CHECK(read_exactly(raw, all.size()) == all);
}

TEST_CASE("frame server: what breaks the rules is closed, and the next one is served", "[ipc][broker]") {
    served s({.frame_bytes = 1000});
    std::string const long_frame = framed(std::string(300U << 10U, 'x'));
    for (auto const& bytes : {std::string(4, '\0'), long_frame, std::string("\xff\xff\xff\xff"), framed("fail"),
                              std::string("GET / HTTP/1.1\r\n\r\n")}) {
        auto const c = s.connect();
        put(c, bytes);
        CHECK(rest_of(c).empty());
    }
    {
        auto const cut = s.connect();
        put(cut, framed("hello").substr(0, 6));
        ::shutdown(cut.get(), SHUT_WR);
        CHECK(rest_of(cut).empty());
    }
    CHECK(asks(s.connect().get()) == 1);
}

TEST_CASE("frame server: a started frame, an answer not taken and an idle connection have their limits",
          "[ipc][broker]") {
    {
        served s({.idle_time = 1h, .frame_time = 50ms});
        auto const slow = s.connect();
        put(slow, framed("hello").substr(0, 6));
        CHECK(rest_of(slow).empty());
        auto const deaf = s.connect();
        std::string const big = framed(std::string(250000, 'x'));
        // Never reads: the answer fills the socket, then the server closes it, and that ends the sending.
        while (::send(deaf.get(), big.data(), big.size(), MSG_NOSIGNAL) > 0) {
        }
        CHECK(asks(s.connect().get()) == 1);
    }
    served s({.idle_time = 50ms, .frame_time = 1h});
    auto const idle = s.connect();
    CHECK(rest_of(idle).empty());
    auto const used = s.connect();
    CHECK(asks(used.get()) == 1);
    CHECK(rest_of(used).size() == 4);  // the rest of the answer, then closed
}

TEST_CASE("frame server: connections and their memory are bounded in all", "[ipc][broker]") {
    served s({.connections = 3, .buffer_bytes = 16384});
    std::vector<unique_fd> held;
    for (int i = 0; i < 3; ++i) {
        held.push_back(s.connect());
        CHECK(asks(held.back().get()) == 1);
    }
    CHECK(rest_of(s.connect()).empty());
    put(held[0], framed(std::string(100000, 'x')));
    CHECK(rest_of(held[0]).size() == 4);
    CHECK(asks(held[1].get()) == 1);
}

TEST_CASE("frame server: it closes every connection when it goes", "[ipc][broker]") {
    served s;
    auto const idle = s.connect();
    CHECK(asks(idle.get()) == 1);
    auto const half = s.connect();
    put(half, framed("hello").substr(0, 6));
    s.loop.post([&] { s.server.reset(); });
    CHECK(rest_of(idle).size() == 4);
    CHECK(rest_of(half).empty());
    CHECK(asks(s.connect().get()) == 0);
}

TEST_CASE("frame server: another user is refused and told of, also with the socket wide open", "[ipc][broker]") {
    if (getuid() != 0) {
        WARN("skipped: needs root to become another user");
        return;
    }
    served s;
    CHECK(in_child([&] { return asks(s.connect().get()); }, somebody) == 0);
    auto const who = s.refused();
    CHECK(who.uid == somebody);
    CHECK(who.pid > 0);
    CHECK(asks(s.connect().get()) == 1);
}

TEST_CASE("frame server: a descendant with an inherited connection gets nothing and is told of", "[ipc][broker]") {
    served s;
    auto const inherited = s.connect();
    CHECK(asks(inherited.get()) == 1);
    CHECK(read_exactly(inherited, 4).size() == 4);
    SECTION("of the same user") {
        CHECK(in_child([&] { return asks(inherited.get()); }) == 0);
        auto const who = s.refused();
        CHECK(who.uid == getuid());
        CHECK(who.pid != getpid());
    }
    SECTION("of another user") {
        if (getuid() != 0) {
            WARN("skipped: needs root to become another user");
            return;
        }
        CHECK(in_child([&] { return in_child([&] { return asks(inherited.get()); }, somebody); }) == 0);
        CHECK(s.refused().uid == somebody);
    }
    CHECK(asks(s.connect().get()) == 1);
}

TEST_CASE("frame server: what a child adds to a frame of its parent spoils it", "[ipc][broker]") {
    served s;
    auto const shared = s.connect();
    put(shared, framed("hello").substr(0, 6));
    CHECK(in_child([&] { return ::send(shared.get(), "llo", 3, MSG_NOSIGNAL) == 3 ? 0 : 1; }) == 0);
    CHECK(rest_of(shared).empty());
    CHECK(s.refused().pid != getpid());
}

TEST_CASE("frame server: descriptors that are sent along do not arrive", "[ipc][broker]") {
    served s;
    auto const c = s.connect();
    int pipes[2];
    REQUIRE(::pipe2(pipes, O_CLOEXEC) == 0);
    std::string bytes = framed("hello");
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* const extra = CMSG_FIRSTHDR(&message);
    *extra = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(extra), &pipes[1], sizeof(int));
    REQUIRE(::sendmsg(c.get(), &message, 0) > 0);
    ::close(pipes[1]);
    CHECK(read_exactly(c, bytes.size()) == bytes);
    char byte = 0;
    CHECK(::read(pipes[0], &byte, 1) == 0);  // nobody else holds the other end
    ::close(pipes[0]);
}

TEST_CASE("frame server: a flood on one socket does not keep another one waiting", "[ipc][broker]") {
    temp_folder const t;
    ipc::loop loop;
    std::vector<char> order;
    struct noting final : ipc::frame_session {
        std::vector<char>& order;
        char name;
        ipc::loop& on;
        noting(std::vector<char>& o, char n, ipc::loop& l) : order(o), name(n), on(l) {}
        result<bytes_view> answer(bytes_view) override {
            order.push_back(name);
            if (name == 'q') on.stop();
            return as_bytes("x");
        }
    };
    auto const serve = [&](char name) {
        auto const path = t.path() / std::string(1, name);
        ipc::frame_service service{
            {getuid()},
            [&order, name, &loop](ipc::peer const&) { return std::make_unique<noting>(order, name, loop); },
            {}};
        return std::make_unique<ipc::frame_server>(loop, must(ipc::listen_at(path, {.mode = 0600})),
                                                   std::move(service));
    };
    auto const flooded = serve('f');
    auto const quiet = serve('q');
    std::vector<unique_fd> clients;
    auto const connect = [&](char name) {
        auto& s = clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, (t.path() / std::string(1, name)).c_str());
        REQUIRE(::connect(s.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    };
    for (int i = 0; i < 50; ++i) {
        connect('f');
        for (int k = 0; k < 20; ++k) put(clients.back(), framed("x"));
    }
    connect('q');
    put(clients.back(), framed("x"));
    loop.run();
    CHECK(order.back() == 'q');
    CHECK(order.size() <= 10);
}
