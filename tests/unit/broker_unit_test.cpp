#include "agent/broker/load_credential.hpp"
#include "agent/ipc/listen.hpp"
#include "tests/support/ssh_data.hpp"
#include "tests/support/temp_folder.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <thread>

using namespace scratchd;
using namespace std::chrono_literals;
using broker::parse_unit_address;

namespace {

std::string address(std::string const& text) {
    return '\0' + text;
}

// Serves "db" to train@7.service and never answers for "slow".
struct served {
    temp_folder folder;
    std::string path = (folder.path() / "s").string();
    ipc::loop loop;
    std::promise<error> refusal;
    std::promise<ipc::peer> service;
    std::unique_ptr<broker::unit_server> server;
    std::thread thread;

    explicit served(broker::unit_limits limits) {
        broker::unit_service what{
            fetch, [this](ipc::peer const&, auto const&, error const& e) { refusal.set_value(e); },
            [this](ipc::peer const& who, broker::unit_request const&) { service.set_value(who); }};
        server = std::make_unique<broker::unit_server>(loop, must(ipc::listen_at(path, {.mode = 0666})),
                                                       std::move(what), limits);
        thread = std::thread([this] { loop.run(); });
    }
    served(served const&) = delete;
    served& operator=(served const&) = delete;
    ~served() {
        loop.post([this] { server.reset(); });
        loop.post([this] { loop.stop(); });
        thread.join();
    }

    static task<result<broker::shared_secret>> fetch(broker::unit_request r) {
        if (r.credential == "slow") {
            boost::asio::steady_timer never(co_await boost::asio::this_coro::executor, 1h);
            co_await never.async_wait(boost::asio::use_awaitable);
        }
        if (r.unit != "train@7.service" || r.credential != "db") co_return fail(errc::credential_denied, r.unit);
        co_return std::make_shared<secret const>(secret_of(std::string(500000, 'v')));
    }

    // Asks as systemd does; `from` is the abstract address, empty for none.
    [[nodiscard]] std::string ask(std::string const& from) const {
        unique_fd s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        if (!from.empty()) {
            std::memcpy(a.sun_path, from.data(), from.size());
            auto const size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + from.size());
            REQUIRE(::bind(s.get(), reinterpret_cast<sockaddr*>(&a), size) == 0);
        }
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::memcpy(to.sun_path, path.data(), path.size());
        REQUIRE(::connect(s.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
        std::string all;
        char buffer[65536];
        for (ssize_t n = 0; (n = ::read(s.get(), buffer, sizeof buffer)) > 0;)
            all.append(buffer, static_cast<std::size_t>(n));
        return all;
    }
};

std::string own_address(std::string const& tail) {
    return address(fmt::format("{:x}", ::getpid()) + tail);
}

}  // namespace

TEST_CASE("unit address: what systemd binds is read", "[broker]") {
    struct good {
        char const* text;
        char const* unit;
        char const* credential;
    };
    for (auto const& g : {good{"1f/unit/train.service/db", "train.service", "db"},
                          good{"ffffffffffffffff/unit/train@7.service/db.pass", "train@7.service", "db.pass"},
                          good{"0/unit/dev-disk\\x2dby.swap/A_b-c", "dev-disk\\x2dby.swap", "A_b-c"},
                          good{"a/unit/a:b_c.socket/x", "a:b_c.socket", "x"}}) {
        auto const read = parse_unit_address(address(g.text));
        REQUIRE(read.has_value());
        CHECK(read->unit == g.unit);
        CHECK(read->credential == g.credential);
    }
}

TEST_CASE("unit address: everything else is refused", "[broker]") {
    for (char const* text : {"",
                             "1f",
                             "1f/unit",
                             "1f/unit/",
                             "1f/unit//db",
                             "1f/unit/a.service",
                             "1f/unit/a.service/",
                             "/unit/a.service/db",
                             "1F/unit/a.service/db",
                             "xyz/unit/a.service/db",
                             "11111111111111111/unit/a.service/db",
                             "1f/user/a.service/db",
                             "1f/unit/a.service/b/c",
                             "1f/unit/../db",
                             "1f/unit/a.service/..",
                             "1f/unit/a.service/.x",
                             "1f/unit/.service/db",
                             "1f/unit/@.service/db",
                             "1f/unit/a/db",
                             "1f/unit/a.timer/db",
                             "1f/unit/a b.service/db",
                             "1f/unit/a.service/d b"}) {
        INFO(text);
        CHECK_FALSE(parse_unit_address(address(text)).has_value());
    }
    CHECK_FALSE(parse_unit_address("1f/unit/train.service/db").has_value());
    CHECK_FALSE(parse_unit_address(address(std::string("1f/unit/a.service/d\0b", 20))).has_value());
    CHECK_FALSE(parse_unit_address(address("1f/unit/" + std::string(260, 'a') + ".service/db")).has_value());
    CHECK_FALSE(parse_unit_address(address("1f/unit/a.service/" + std::string(65, 'a'))).has_value());
}

TEST_CASE("unit address: changed addresses give a unit and a credential, or nothing", "[broker][fuzz]") {
    mutator mutate(7);
    for (unsigned i = 0; i < 20000; ++i) {
        auto const read = parse_unit_address(mutate(address("1f2e3d/unit/train@7.service/db")));
        if (read) REQUIRE((!read->unit.contains('/') && !read->credential.contains('/')));
    }
}

TEST_CASE("unit server: a unit reads its credential whole, and it is told of", "[broker]") {
    served s({.allowed = getuid()});
    CHECK(s.ask(own_address("/unit/train@7.service/db")) == std::string(500000, 'v'));
    CHECK(s.service.get_future().get().uid == getuid());
}

TEST_CASE("unit server: who may not gets an empty answer, and it is told of", "[broker]") {
    struct refused {
        std::string from;
        errc code;
    };
    auto const one = GENERATE(values<refused>({{own_address("/unit/other.service/db"), errc::credential_denied},
                                               {own_address("/unit/train@7.service/slow"), errc::timed_out},
                                               {own_address("/unit/train@7.service/"), errc::bad_request},
                                               {"", errc::bad_request}}));
    served s({.time = 50ms, .allowed = getuid()});
    CHECK(s.ask(one.from).empty());
    CHECK(s.refusal.get_future().get().code == one.code);
}

TEST_CASE("unit server: a name like systemd's does not help whoever is not root", "[broker]") {
    served s({.allowed = getuid() + 1});
    CHECK(s.ask(own_address("/unit/train@7.service/db")).empty());
    CHECK(s.refusal.get_future().get().code == errc::not_permitted);
}
