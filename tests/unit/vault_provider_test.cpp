#include "agent/vault/providers.hpp"
#include "agent/vault/url.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/tokens.hpp"

#include <fmt/format.h>

using namespace scratchd;
using namespace scratchd::vault;
using fake::planted;

namespace {

std::string const version = "c8fbd222f76d4e07b3cade8c946274db";

// IMDS, two vaults' worth of secrets and a registry, as long as nobody disturbs them.
fake::answer cloud_says(fake::seen const& asked) {
    auto const& url = asked.url;
    if (url.starts_with("http://169.254.169.254/"))
        return fake::say(200, R"({"access_token":")" + planted + R"(-aad","expires_in":"86399"})");
    if (url == "https://contoso.azurecr.io/v2/")
        return fake::say(401, "",
                         {R"(Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io")"});
    if (url == "https://contoso.azurecr.io/oauth2/exchange")
        return fake::say(200, R"({"refresh_token":")" + fake::jwt(R"({"exp":1700010800})") + R"("})");
    auto const name = url.substr(url.rfind('/') + 1, url.rfind('?') - url.rfind('/') - 1);
    return fake::say(
        200,
        fmt::format(
            R"({{"value":"value of {}","id":"https://contoso.vault.azure.net/secrets/{}/{}","attributes":{{"enabled":true}}}})",
            name, name, version));
}

struct azure {
    fake::net net;
    fake::clock clock;
    std::unique_ptr<provider> from = must(make_azure_provider({}, {}, net, clock, fake::files({})));

    azure() { net.reply = cloud_says; }
    task<result<fetched>> get(std::string name) {
        return from->fetch({"https://contoso.vault.azure.net", std::move(name), "", "default"}, fake::soon());
    }
    result<fetched> login(std::string registry = "contoso.azurecr.io") {
        return run(from->registry_login(std::move(registry), "default", fake::soon()));
    }
};

}  // namespace

TEST_CASE("azure: a thousand callers for five secrets cost one token request and five GETs", "[vault]") {
    azure a;
    std::vector<task<result<fetched>>> callers;
    for (int i = 0; i < 1000; ++i) callers.push_back(a.get(fmt::format("s{}", i % 5)));
    auto const found = run_all(std::move(callers));
    for (std::size_t i = 0; i < found.size(); ++i) {
        REQUIRE(found[i].has_value());
        CHECK(fake::text(found[i]->value) == fmt::format("value of s{}", i % 5));
    }
    CHECK(a.net.count("169.254.169.254") == 1);
    CHECK(a.net.count("/secrets/") == 5);
    CHECK(fake::text(must(run(a.get("s0"))).value) == "value of s0");
    CHECK(a.net.count("/secrets/") == 6);  // what is in hand is not kept: the broker decides how long a value serves
    CHECK(a.net.count("169.254.169.254") == 1);
    a.from->forget();
    must(run(a.get("s0")));
    CHECK(a.net.count("169.254.169.254") == 2);
}

namespace {

task<bool> leave_early(azure& all) {
    auto const at_once = deadline::in(std::chrono::milliseconds(0));
    secret_ref const what{"https://contoso.vault.azure.net", "s1", "", "default"};
    auto late = co_await all.from->fetch(what, at_once);
    all.from.reset();
    co_return fails_with(late, errc::timed_out);
}

}  // namespace

TEST_CASE("azure: its provider may go while a request is under way", "[vault]") {
    azure a;
    a.net.slow = true;
    CHECK(run(leave_early(a)));
    CHECK(a.net.count("169.254.169.254") == 1);
}

TEST_CASE("azure: a configuration that cannot work is refused", "[vault]") {
    fake::net net;
    fake::clock clock;
    auto make = [&](std::vector<identity_config> who) {
        return make_azure_provider({}, std::move(who), net, clock, fake::files({}));
    };
    CHECK(fails_with(make({{.name = "a", .source = "imds"}, {.name = "a", .source = "imds"}}), errc::config_value));
    CHECK(fails_with(make({{.name = "a", .source = "x"}}), errc::config_value));
}

TEST_CASE("registry: an identity's token is exchanged at the registry itself", "[vault]") {
    azure a;
    auto const found = must(a.login("Contoso.azurecr.io"));
    CHECK(fake::text(found.value) == fake::jwt(R"({"exp":1700010800})"));
    CHECK(found.expires == 1700010800);
    REQUIRE(a.net.log.size() == 3);
    CHECK_THAT(a.net.log[1].url, ContainsSubstring("resource=https%3A%2F%2Fcontainerregistry.azure.net"));
    CHECK(a.net.log[2].method == "POST");
    CHECK(a.net.log[2].body == "grant_type=access_token&service=contoso.azurecr.io&access_token=" + planted + "-aad");
}

TEST_CASE("registry: a login anywhere else is refused before a token is asked for", "[vault]") {
    azure a;
    std::string const challenge =
        GENERATE(R"(Bearer realm="https://evil.example/oauth2/token",service="contoso.azurecr.io")",
                 R"(Bearer realm="http://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io")",
                 R"(Bearer realm="https://contoso.azurecr.io:8443/oauth2/token")",
                 R"(Bearer realm="https://contoso.azurecr.io@evil.example/oauth2/token")",
                 R"(Bearer realm="https://contoso.azurecr.io.evil.example/")", R"(Bearer realm="/oauth2/token")",
                 R"(Bearer realm="https://contoso.azurecr.io/oauth2/token",service="other.azurecr.io")");
    INFO(challenge);
    a.net.reply = [&](fake::seen const&) { return fake::say(401, planted, {challenge}); };
    CHECK(fake::refused(a.login(), errc::vault_untrusted));
    CHECK(a.net.log.size() == 1);
}

TEST_CASE("registry: answers that are none", "[vault]") {
    azure a;
    for (char const* host : {"evil.example", "contoso.azurecr.io.evil.example", "azurecr.io", "evilazurecr.io"})
        CHECK(fails_with(a.login(host), errc::vault_untrusted));
    CHECK(a.net.log.empty());
    for (int const status : {200, 401, 404}) {
        a.net.always(status, planted);
        CHECK(fake::refused(a.login(), errc::vault_malformed));
    }
    auto exchange_says = [&](int status, std::string const& body) {
        a.net.reply = [=](fake::seen const& asked) {
            return asked.url.ends_with("/exchange") ? fake::say(status, body) : cloud_says(asked);
        };
        return a.login();
    };
    CHECK(fake::refused(exchange_says(401, planted), errc::vault_denied));
    CHECK(fake::refused(exchange_says(403, planted), errc::vault_denied));
    CHECK(fake::refused(exchange_says(429, ""), errc::vault_throttled));
    CHECK(fake::refused(exchange_says(503, planted), errc::vault_unreachable));
    CHECK(fake::refused(exchange_says(302, planted), errc::vault_untrusted));
    for (std::string const& body : {std::string(), std::string("{}"), std::string(R"({"refresh_token":5})"),
                                    std::string(R"({"refresh_token":"a\nb"})"), planted,
                                    R"({"refresh_token":")" + fake::jwt(R"({"exp":1600000000})") + R"("})"})
        CHECK(fake::refused(exchange_says(200, body), errc::vault_malformed));
}

TEST_CASE("directory: a value is its file without one newline at the end", "[vault]") {
    auto const from = make_directory_provider(fake::files({{"a", "v\n"},
                                                           {"b", "v\r\n"},
                                                           {"c", "v\n\n"},
                                                           {"d", "v"},
                                                           {"e", "\n"},
                                                           {"f", ""},
                                                           {"big", std::string((1U << 20U) + 1, 'x')}}));
    auto get = [&](std::string name, std::string wanted = "") {
        return run(from->fetch({"", std::move(name), std::move(wanted), ""}, fake::soon()));
    };
    CHECK(fake::text(must(get("a")).value) == "v");
    CHECK(fake::text(must(get("b")).value) == "v");
    CHECK(fake::text(must(get("c")).value) == "v\n");
    CHECK(fake::text(must(get("d")).value) == "v");
    CHECK(fails_with(get("e"), errc::credential_format));
    CHECK(fails_with(get("f"), errc::credential_format));
    CHECK(fails_with(get("big"), errc::credential_format));
    CHECK(fails_with(get("none"), errc::secret_missing));
    CHECK(fails_with(get("a", version), errc::secret_missing));
    for (char const* bad : {"", ".", "..", "../a", "a/b", "/etc/shadow", ".hidden", "a b", "a\n"})
        CHECK(fails_with(get(bad), errc::bad_request));
    CHECK(fails_with(run(from->registry_login("r", "default", fake::soon())), errc::not_configured));
    from->forget();
}
