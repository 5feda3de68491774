#include "agent/vault/token_cache.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/tokens.hpp"

#include <fmt/format.h>

using namespace scratchd;
using namespace scratchd::vault;
using namespace std::chrono_literals;
using fake::planted;

namespace {

result<access_token> read(std::string const& body, token_wish const& wish = {"https://vault.azure.net", {}, {}, {}}) {
    fake::clock clock;
    return read_token_reply(fake::hidden(body), wish, clock, "IMDS");
}

std::string reply_with(std::string const& more) {
    return R"({"access_token":")" + planted + R"(",)" + more + "}";
}

long life(std::string const& more) {
    auto const token = must(read(reply_with(more)));
    return std::chrono::duration_cast<std::chrono::seconds>(token.expires - fake::clock().now()).count();
}

}  // namespace

TEST_CASE("token: IMDS's reply, all of whose numbers are strings", "[vault]") {
    auto const token = must(read(
        R"({"access_token":"eyJ.x.sig","client_id":"fe83865b-495e-4ec7-9574-12b264882c9f","expires_in":"86311","expires_on":"1643312761","ext_expires_in":"86399","not_before":"1643226061","resource":"https://vault.azure.net/","token_type":"Bearer"})"));
    CHECK(fake::text(token.value) == "eyJ.x.sig");
    CHECK(token.expires - fake::clock().now() == 86311s);
    CHECK(token.refresh - fake::clock().now() == 43155s);
}

TEST_CASE("token: its life in every form, with our own clock first", "[vault]") {
    CHECK(life(R"("expires_in":3600)") == 3600);
    CHECK(life(R"("expires_in":"3600","expires_on":"5")") == 3600);
    CHECK(life(R"("expires_on":1700000060)") == 60);
    CHECK(life(R"("expires_on":"1700000060")") == 60);
    CHECK(life(R"("expires_on":"2023-11-14T22:14:20Z")") == 60);
    CHECK(life(R"("expires_on":"11/14/2023 10:14:20 PM +00:00")") == 60);
    CHECK(life(R"("expires_in":999999999)") == 7 * 86400);
}

TEST_CASE("token: it is refreshed when the endpoint says, at half a long life, or shortly before a short one's end",
          "[vault]") {
    auto refresh = [](std::string const& more) {
        return std::chrono::duration_cast<std::chrono::seconds>(must(read(reply_with(more))).refresh -
                                                                fake::clock().now())
            .count();
    };
    CHECK(refresh(R"("expires_in":86400,"refresh_in":"600")") == 600);
    CHECK(refresh(R"("expires_in":86400)") == 43200);
    CHECK(refresh(R"("expires_in":3600)") == 3300);
    CHECK(refresh(R"("expires_in":60)") == 30);
    CHECK(refresh(R"("expires_in":86400,"refresh_in":999999)") == 43200);
}

TEST_CASE("token: replies that are none are refused, and say where, never what", "[vault]") {
    std::string const bad =
        GENERATE(as<std::string>{}, "", "null", "[]", "42", "\"x\"", "<html>" + planted + "</html>",
                 R"({"access_token":")" + planted, R"({"access_token":5,"expires_in":1})",
                 R"({"access_token":"","expires_in":1})", reply_with(R"("x":1)"), reply_with(R"("expires_in":"soon")"),
                 reply_with(R"("expires_in":0)"), reply_with(R"("expires_in":-5)"), reply_with(R"("expires_in":[1])"),
                 reply_with(R"("expires_in":1.5)"), reply_with(R"("expires_on":"5")"),
                 reply_with(R"("expires_in":9,"token_type":"pop")"),
                 R"({"access_token":")" + planted + R"(\r\nX: y","expires_in":9})",
                 R"({"access_token":")" + planted + R"(","access_token":"b","expires_in":9})",
                 R"({")" + planted + R"(":1,")" + planted + R"(":1})", std::string(200000, '['),
                 std::string(70000, ' ') + reply_with(R"("expires_in":9)"), reply_with(R"("expires_in":9)") + "x",
                 R"({"access_token":")" + std::string(20000, 'a') + R"(","expires_in":9})");
    INFO(bad.substr(0, 100));
    CHECK(fake::refused(read(bad), errc::vault_malformed));
}

TEST_CASE("token: it must be of the identity that was asked for, by echo or by its claims", "[vault]") {
    auto const jwt = fake::jwt(R"({"appid":"A1","oid":"O1","xms_mirid":"/subscriptions/s/R1"})");
    auto const plain = reply_with(R"("expires_in":9)");
    auto const claims = R"({"expires_in":9,"access_token":")" + jwt + R"("})";
    auto client = [](std::string id) { return token_wish{"https://vault.azure.net", std::move(id), {}, {}}; };
    CHECK(read(reply_with(R"("expires_in":9,"client_id":"a1")"), client("A1")).has_value());
    CHECK(read(claims, client("a1")).has_value());
    CHECK(read(claims, {"https://vault.azure.net", {}, "o1", {}}).has_value());
    CHECK(read(claims, {"https://vault.azure.net", {}, {}, "/subscriptions/S/r1"}).has_value());
    CHECK(
        read(reply_with(R"("expires_in":9,"msi_res_id":"/r")"), {"https://vault.azure.net", {}, {}, "/r"}).has_value());

    CHECK(fake::refused(read(reply_with(R"("expires_in":9,"client_id":"B")"), client("A1")), errc::identity_refused));
    CHECK(fake::refused(read(claims, client("A2")), errc::identity_refused));
    CHECK(fake::refused(read(claims, {"https://vault.azure.net", {}, {}, "/subscriptions/s/R2"}),
                        errc::identity_refused));
    CHECK(fake::refused(read(plain, client("A1")), errc::identity_refused));
    CHECK(fake::refused(read(plain, {"https://vault.azure.net", {}, {}, "/r"}), errc::identity_refused));
    CHECK(fake::refused(read(reply_with(R"("expires_in":9,"resource":"https://other.example")")),
                        errc::identity_refused));
}

namespace {

struct cached {
    fake::clock clock;
    token_cache cache{clock};
    int asked = 0;
    bool fails = false;
    std::chrono::milliseconds takes{0};

    task<result<access_token>> answer(deadline) {
        ++asked;
        int const number = asked;
        co_await boost::asio::post(boost::asio::use_awaitable);
        gate never_opened;
        if (takes > 0ms) (void)co_await never_opened.wait(deadline::in(takes));
        if (fails) co_return fail(errc::vault_unreachable, "IMDS");
        co_return access_token{fake::hidden(fmt::format("t{}", number)), clock.now() + 3600s, clock.now() + 7200s};
    }
    task<result<shared_token>> get(deadline until = fake::soon()) {
        token_cache::fetch fetch = [this](deadline limit) { return answer(limit); };
        return cache.get("imds vault", std::move(fetch), until);
    }
    std::string value() { return fake::text(must(run(get()))->value); }
};

}  // namespace

TEST_CASE("token cache: a thousand callers at once cost one request", "[vault]") {
    cached c;
    std::vector<task<result<shared_token>>> callers;
    for (int i = 0; i < 1000; ++i) callers.push_back(c.get());
    for (auto const& token : run_all(std::move(callers))) CHECK(fake::text((*token)->value) == "t1");
    CHECK(c.asked == 1);
    CHECK(c.value() == "t1");
    CHECK(c.asked == 1);
}

TEST_CASE("token cache: a thousand callers at once share one error, and the next one asks again", "[vault]") {
    cached c;
    c.fails = true;
    std::vector<task<result<shared_token>>> callers;
    for (int i = 0; i < 1000; ++i) callers.push_back(c.get());
    for (auto const& token : run_all(std::move(callers))) CHECK(fails_with(token, errc::vault_unreachable));
    CHECK(c.asked == 1);
    c.fails = false;
    CHECK(c.value() == "t2");
}

TEST_CASE("token cache: a refresh goes on behind the old token, and its failure waits 30 s", "[vault]") {
    cached c;
    CHECK(c.value() == "t1");
    c.clock.pass(3601s);
    c.fails = true;
    CHECK(c.value() == "t1");
    CHECK(c.asked == 2);
    CHECK(c.value() == "t1");
    CHECK(c.asked == 2);
    c.clock.pass(31s);
    c.fails = false;
    CHECK(c.value() == "t1");
    CHECK(c.asked == 3);
    CHECK(c.value() == "t3");
}

TEST_CASE("token cache: the old token serves until its real end, not longer", "[vault]") {
    cached c;
    CHECK(c.value() == "t1");
    c.fails = true;
    c.clock.pass(7170s);
    CHECK(c.value() == "t1");
    c.clock.pass(31s);
    CHECK(fails_with(run(c.get()), errc::vault_unreachable));
}

TEST_CASE("token cache: a refused token is dropped once, a newer one stays", "[vault]") {
    cached c;
    auto const first = must(run(c.get()));
    c.cache.reject("imds vault", first);
    CHECK(c.value() == "t2");
    c.cache.reject("imds vault", first);
    CHECK(c.value() == "t2");
    c.cache.clear();
    CHECK(c.value() == "t3");
}

TEST_CASE("token cache: a caller waits no longer than its own deadline", "[vault]") {
    cached c;
    c.takes = 50ms;
    std::vector<task<result<shared_token>>> callers;
    callers.push_back(c.get(deadline::in(1ms)));
    callers.push_back(c.get());
    auto const outcomes = run_all(std::move(callers));
    CHECK(fails_with(outcomes[0], errc::timed_out));
    CHECK(outcomes[1].has_value());
    CHECK(c.asked == 1);
}
