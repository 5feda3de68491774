#include "agent/vault/http_date.hpp"
#include "agent/vault/retry.hpp"
#include "tests/support/fake_vault_net.hpp"

using namespace scratchd;
using namespace scratchd::vault;
using namespace std::chrono_literals;

namespace {

result<outgoing> plain_request() {
    outgoing out;
    out.to = {"contoso.vault.azure.net", 443, true};
    out.target = "/";
    return out;
}

struct asked {
    fake::net net;
    fake::clock clock;

    result<incoming> ask_as(service who, deadline until = fake::soon()) {
        return run(ask({net, clock}, who, plain_request, until));
    }
};

}  // namespace

TEST_CASE("retry: IMDS is asked at 0, 2, 6, 14 and 30 s, and not for what a repetition cannot change", "[vault]") {
    for (int const status : {0, 404, 429, 500, 503, 599}) {
        INFO(status);
        std::vector<std::int64_t> waits;
        for (tried t{1, status, 0ms, {}};; ++t.attempts) {
            auto const wait = wait_before_next(service::identity_endpoint, t, 0);
            if (!wait) break;
            waits.push_back(wait->count() / 1000);
        }
        CHECK(waits == std::vector<std::int64_t>{2, 4, 8, 16});
    }
    for (int const status : {200, 204, 400, 401, 403, 405, 409, 302})
        CHECK_FALSE(wait_before_next(service::identity_endpoint, {1, status, 0ms, {}}, 0).has_value());
}

TEST_CASE("retry: IMDS that says 410 is asked for at least 70 s", "[vault]") {
    asked a;
    a.net.always(410, "");
    auto const answer = must(a.ask_as(service::identity_endpoint));
    CHECK(answer.status == 410);
    CHECK(a.clock.waits == std::vector<int>{2, 4, 8, 16, 16, 16, 16});
}

TEST_CASE("retry: a vault's 429 without Retry-After waits 1, 2, 4, 8, 16 s, spread by chance", "[vault]") {
    asked a;
    a.net.always(429, "");
    CHECK(must(a.ask_as(service::vault)).status == 429);
    CHECK(a.clock.waits == std::vector<int>{1, 2, 4, 8, 16});
    CHECK(wait_before_next(service::vault, {3, 429, 0ms, {}}, 0.5) == 5000ms);
}

TEST_CASE("retry: broken connections and 5xx are tried three times more, other statuses never", "[vault]") {
    for (int const status : {0, 500, 502, 503}) {
        CHECK(wait_before_next(service::vault, {3, status, 0ms, {}}, 0) == 4s);
        CHECK_FALSE(wait_before_next(service::vault, {4, status, 0ms, {}}, 0).has_value());
    }
    for (int const status : {200, 400, 401, 403, 404, 409, 410})
        CHECK_FALSE(wait_before_next(service::vault, {1, status, 0ms, {}}, 0).has_value());
}

TEST_CASE("retry: what the service asks us to wait is honoured, in each of its forms", "[vault]") {
    CHECK(asked_to_wait("7", "", 0) == 7s);
    CHECK(asked_to_wait("7", "250", 0) == 250ms);
    CHECK(asked_to_wait("Sun, 06 Nov 1994 08:49:37 GMT", "", 784111770) == 7s);
    CHECK(asked_to_wait("Sun, 06 Nov 1994 08:49:37 GMT", "", 784111999) == 0s);
    CHECK(asked_to_wait("999999999999999999", "", 0) == 24h);
    for (char const* bad : {"", "-1", "soon", "1.5", "99999999999999999999999"})
        CHECK_FALSE(asked_to_wait(bad, bad, 0).has_value());

    asked a;
    a.net.script({[] { return fake::say_wait(429, "9"); }, [] { return fake::say_wait(503, "3"); },
                  [] { return fake::say(200, "x"); }});
    CHECK(must(a.ask_as(service::vault)).status == 200);
    CHECK(a.clock.waits == std::vector<int>{9, 3});
}

TEST_CASE("retry: no wait is begun that passes the deadline", "[vault]") {
    asked a;
    a.net.reply = [](auto const&) { return fake::say_wait(429, "3600"); };
    CHECK(must(a.ask_as(service::vault, fake::soon(20))).status == 429);
    CHECK(a.clock.waits.empty());
    a.net.always(429, "");
    CHECK(must(a.ask_as(service::vault, fake::soon(10))).status == 429);
    CHECK(a.clock.waits == std::vector<int>{1, 2, 4});
}

TEST_CASE("retry: what is not trusted or not understood is not asked again", "[vault]") {
    auto const code = GENERATE(errc::vault_untrusted, errc::vault_malformed, errc::internal);
    asked a;
    a.net.reply = [code](auto const&) { return fake::break_off(code); };
    CHECK(fails_with(a.ask_as(service::vault), code));
    CHECK(a.net.log.size() == 1);
}

TEST_CASE("retry: a connection that breaks is made again", "[vault]") {
    asked a;
    a.net.script({[] { return fake::break_off(); }, [] { return fake::break_off(errc::timed_out); },
                  [] { return fake::say(200, "x"); }});
    CHECK(must(a.ask_as(service::login)).status == 200);
    a.net.reply = [](auto const&) { return fake::break_off(); };
    CHECK(fails_with(a.ask_as(service::login), errc::vault_unreachable));
}

TEST_CASE("exchange: no redirect is followed, whoever carries it", "[vault]") {
    int const status = GENERATE(301, 302, 303, 307, 308, 300);
    asked a;
    a.net.always(status, fake::planted);
    CHECK(fake::refused(a.ask_as(service::vault), errc::vault_untrusted));
    CHECK(a.net.log.size() == 1);
}

TEST_CASE("retry: after a 401 once with a new token, or twice while a key is not resolved", "[vault]") {
    CHECK(decide_after_401(false, 0, false) == after_401::new_token);
    CHECK(decide_after_401(false, 0, true) == after_401::give_up);
    CHECK(decide_after_401(true, 0, false) == after_401::same_token);
    CHECK(decide_after_401(true, 1, false) == after_401::same_token);
    CHECK(decide_after_401(true, 2, false) == after_401::new_token);
    CHECK(decide_after_401(true, 2, true) == after_401::give_up);
}

TEST_CASE("dates: every form that token endpoints use", "[vault]") {
    for (char const* text : {"784111777", "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z",
                             "1994-11-06T08:49:37.123456Z", "1994-11-06T09:49:37+01:00", "1994-11-06 08:49:37",
                             "11/6/1994 8:49:37 AM +00:00", "11/06/1994 08:49:37 +00:00", "11/06/1994 8:49:37 AM"}) {
        INFO(text);
        CHECK(parse_any_date(text) == 784111777);
    }
    CHECK(parse_any_date("11/06/1994 12:00:00 AM") == 784080000);
    CHECK(parse_any_date("11/06/1994 12:00:00 PM") == 784123200);
    for (char const* text : {"", "x", "-5", "1994-13-06T08:49:37Z", "1994-02-30T08:49:37Z", "13/06/1994 8:49:37 PM",
                             "11/06/1994 13:49:37 PM", "Sun, 06 Nov 1994", "99999999999999999999",
                             "1994-11-06T08:49:37Zx", "1994-11-06T25:49:37Z", "12 34"}) {
        INFO(text);
        CHECK_FALSE(parse_any_date(text).has_value());
    }
}
