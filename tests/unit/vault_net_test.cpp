// The real transport against a server on loopback: five kinds of bad TLS, and bad behaviour behind good TLS.
#include "agent/vault/lookup.hpp"
#include "agent/vault/net_transport.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/support/tls_server.hpp"

#include <openssl/ssl.h>
#include <latch>

using namespace scratchd;
using namespace scratchd::vault;
using namespace std::chrono_literals;
using fake::planted;

namespace {

std::string const host = "good.vault.test";

std::string http(std::string const& body, std::string const& head = "HTTP/1.1 200 OK") {
    return head + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

tls_server::behaviour say(std::string text) {
    return [text = std::move(text)](connection const& c) {
        (void)c.read_request();
        (void)c.write(text);
    };
}

struct world {
    temp_folder folder;
    issued authority = issue({.name = "our ca", .is_authority = true});
    issued other_authority = issue({.name = "their ca", .is_authority = true});
    issued good = issue({.name = host}, &authority);
    std::unique_ptr<transport> net;

    world() {
        net_options options;
        options.ca_file = folder.write("ca.pem", authority.certificate_pem());
        options.resolve = [](std::string const&) { return result<std::vector<std::string>>({"127.0.0.1"}); };
        net = must(make_net_transport(std::move(options)));
    }

    result<incoming> get(std::uint16_t port, std::size_t limit = 1U << 20U, std::chrono::milliseconds time = 5s,
                         bool tls = true) const {
        outgoing request;
        request.to = {tls ? host : "127.0.0.1", port, tls};
        request.target = "/secrets/x";
        request.proof_name = "Authorization";
        request.proof = fake::hidden("Bearer " + planted);
        request.body_limit = limit;
        return run(net->exchange(std::move(request), deadline::in(time)));
    }
    // Of a server with the good certificate that behaves like this.
    result<incoming> get_from(tls_server::behaviour act, std::size_t limit = 1U << 20U,
                              std::chrono::milliseconds time = 5s) const {
        tls_server const server({&good}, std::move(act));
        return get(server.port(), limit, time);
    }
};

}  // namespace

TEST_CASE("net: an exchange over TLS, with the few headers that count", "[vault][net]") {
    world const w;
    std::string request;
    auto const found = must(w.get_from([&](connection const& c) {
        request = c.read_request();
        (void)c.write(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer a=b\r\nwww-authenticate: Basic realm=/x y\r\n"
            "Retry-After: 5\r\nx-ms-retry-after-ms: 70\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\nbody");
    }));
    CHECK(found.status == 401);
    CHECK(fake::text(found.body) == "body");
    CHECK(found.challenges == std::vector<std::string>{"Bearer a=b", "Basic realm=/x y"});
    CHECK(found.retry_after == "5");
    CHECK(found.retry_after_ms == "70");
    CHECK_THAT(request, StartsWith("GET /secrets/x HTTP/1.1\r\n") &&
                            ContainsSubstring("\r\nAuthorization: Bearer " + planted + "\r\n\r\n"));
}

TEST_CASE("net: bodies of every framing and size arrive whole", "[vault][net]") {
    world const w;
    std::string const large(900000, 'x');
    CHECK(fake::text(must(w.get_from(say(http(large)))).body) == large);
    CHECK(fake::text(must(w.get_from(say(http("")))).body).empty());
    std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 30; ++i) chunked += "2710\r\n" + std::string(10000, 'y') + "\r\n";
    CHECK(must(w.get_from(say(chunked + "0\r\n\r\n"))).body.size() == 300000);
    CHECK(must(w.get_from(say(http(std::string(4096, 'z'))), 4096)).body.size() == 4096);
}

TEST_CASE("net: a certificate that proves nothing is refused, before a request is sent", "[vault][net]") {
    world const w;
    auto const self_signed = issue({.name = host});
    auto const expired = issue({.name = host, .valid_for = -60}, &w.authority);
    auto const wrong_name = issue({.name = "other.vault.test"}, &w.authority);
    auto const other_ca = issue({.name = host}, &w.other_authority);
    struct row {
        char const* what;
        issued const* certificate;
        int version;
        char const* words;
    };
    for (auto const& r :
         {row{"self-signed", &self_signed, 0, "self-signed certificate"}, row{"expired", &expired, 0, "expired"},
          row{"wrong name", &wrong_name, 0, "hostname mismatch"},
          row{"other CA", &other_ca, 0, "local issuer certificate"}, row{"TLS 1.1", &w.good, TLS1_1_VERSION, "TLS"}}) {
        INFO(r.what);
        tls_server const server({r.certificate, r.version}, say(http(planted)));
        auto const found = w.get(server.port());
        CHECK(fake::refused(found, errc::vault_untrusted));
        CHECK_THAT(found.error().message(), ContainsSubstring(r.words) && ContainsSubstring(host));
        CHECK(server.requests() == 0);
    }
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_server const server({&w.good, version}, say(http("x")));
        CHECK(w.get(server.port()).has_value());
    }
}

TEST_CASE("net: no TLS where TLS should be", "[vault][net]") {
    world const w;
    tls_server const server({}, [](connection const& c) { (void)c.write(http(planted)); });
    CHECK(fake::refused(w.get(server.port()), errc::vault_untrusted));
}

TEST_CASE("net: in the clear to this machine only", "[vault][net]") {
    world const w;
    tls_server const server({}, say("HTTP/1.0 200 OK\r\n\r\nuntil the end"));
    CHECK(fake::text(must(w.get(server.port(), 1000, 5s, false)).body) == "until the end");
    outgoing request;
    request.to = {"192.0.2.1", 80, false};
    request.target = "/";
    CHECK(fails_with(run(w.net->exchange(std::move(request), deadline::in(5s))), errc::vault_untrusted));
}

TEST_CASE("net: a slow drip gets no more time than anybody", "[vault][net]") {
    world const w;
    auto const begun = std::chrono::steady_clock::now();
    auto const drip = [](connection const& c) {
        (void)c.read_request();
        (void)c.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while (!c.peer_leaves_within(20) && c.write(planted.substr(0, 1))) {
        }
    };
    CHECK(fake::refused(w.get_from(drip, 1U << 20U, 300ms), errc::timed_out));
    CHECK(std::chrono::steady_clock::now() - begun < 3s);
}

TEST_CASE("net: a server that says nothing, at any step, costs the deadline and no more", "[vault][net]") {
    world const w;
    {
        tls_server const server({&w.good, 0, true}, {});
        CHECK(fake::refused(w.get(server.port(), 1000, 200ms), errc::timed_out));
    }
    auto const mute = [](connection const& c) {
        (void)c.read_request();
        (void)c.peer_leaves_within(5000);
    };
    CHECK(fake::refused(w.get_from(mute, 1000, 200ms), errc::timed_out));
    CHECK(fake::refused(w.get_from(say(http("x")), 1000, 0ms), errc::timed_out));
}

TEST_CASE("net: a body that is cut or reset is not half an answer", "[vault][net]") {
    world const w;
    auto const head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + planted;
    CHECK(fake::refused(w.get_from(say(head)), errc::vault_unreachable));
    auto const reset = [&](connection const& c) {
        (void)c.read_request();
        (void)c.write(head);
        c.reset();
    };
    CHECK(fake::refused(w.get_from(reset), errc::vault_unreachable));
    // Without a length the end of the connection is the end of the body: over TLS it must be said, not just happen.
    CHECK(fake::refused(w.get_from(say("HTTP/1.1 200 OK\r\n\r\n" + planted)), errc::vault_unreachable));
    CHECK(fake::refused(w.get_from(say("")), errc::vault_unreachable));
    CHECK(w.get_from(say(http("x"))).has_value());
}

TEST_CASE("net: more than allowed is not read", "[vault][net]") {
    world const w;
    constexpr std::size_t huge = 64U << 20U;
    std::size_t sent = 0;
    auto flood = [&](std::string const& head, std::string const& piece) {
        return [&sent, head, piece](connection const& c) {
            (void)c.read_request();
            (void)c.write(head);
            for (sent = 0; sent < huge && c.write(piece); sent += piece.size()) {
            }
        };
    };
    auto const plain = flood("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n", std::string(65536, 'x'));
    CHECK(fake::refused(w.get_from(plain), errc::vault_malformed));
    CHECK(sent < huge / 4);
    auto const chunks =
        flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10000\r\n" + std::string(65536, 'x') + "\r\n");
    CHECK(fake::refused(w.get_from(chunks), errc::vault_malformed));
    CHECK(sent < huge / 4);
    auto const header = flood("HTTP/1.1 200 OK\r\n", "X: " + std::string(1000, 'x') + "\r\n");
    CHECK(fake::refused(w.get_from(header), errc::vault_malformed));
    CHECK(sent < huge / 4);
    CHECK(fake::refused(w.get_from(say(http(std::string(1001, 'x'))), 1000), errc::vault_malformed));
}

TEST_CASE("net: what is no HTTP, redirects, and compression that nobody asked for", "[vault][net]") {
    world const w;
    for (std::string const text :
         {"SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"})
        CHECK(fake::refused(w.get_from(say(text + planted)), errc::vault_malformed));
    CHECK(fake::refused(w.get_from(say(http(planted, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"))),
                        errc::vault_malformed));
    tls_server const elsewhere({&w.good}, say(http(planted)));
    auto const to = "HTTP/1.1 307 Go\r\nLocation: https://" + host + ":" + std::to_string(elsewhere.port()) + "/";
    CHECK(fake::refused(w.get_from(say(http(planted, to))), errc::vault_untrusted));
    CHECK(elsewhere.requests() == 0);
}

TEST_CASE("net: nobody listens", "[vault][net]") {
    world const w;
    std::uint16_t port = 0;
    {
        tls_server const gone({&w.good}, say(""));
        port = gone.port();
    }
    CHECK(fake::refused(w.get(port), errc::vault_unreachable));
    CHECK(fails_with(make_net_transport({"/nonexistent/ca.pem", system_resolver}), errc::config_value));
}

TEST_CASE("lookup: a resolver that never answers costs the deadline, and the next name works", "[vault][net]") {
    auto const answered = std::make_shared<std::latch>(1);
    resolver const never = [answered](std::string const&) -> result<std::vector<std::string>> {
        answered->wait();
        return std::vector<std::string>{"192.0.2.1"};
    };
    CHECK(fails_with(run(look_up("v.vault.azure.net", never, deadline::in(50ms))), errc::timed_out));
    resolver const now = [](std::string const&) { return result<std::vector<std::string>>({"192.0.2.7"}); };
    CHECK(must(run(look_up("v.vault.azure.net", now, deadline::in(5s)))) == std::vector<std::string>{"192.0.2.7"});
    // Threads that are left behind are counted: the eighth is the last.
    for (int i = 0; i < 7; ++i) CHECK(fails_with(run(look_up("x", never, deadline::in(1ms))), errc::timed_out));
    CHECK(fails_with(run(look_up("x", now, deadline::in(5s))), errc::vault_unreachable));
    answered->count_down();
    for (bool free = false; !free; std::this_thread::yield())
        free = run(look_up("x", now, deadline::in(5s))).has_value();
}

TEST_CASE("lookup: the system's resolver reads /etc/hosts", "[vault][net]") {
    auto const found = must(run(look_up("localhost", system_resolver, deadline::in(20s))));
    CHECK((found.front() == "127.0.0.1" || found.front() == "::1"));
}
