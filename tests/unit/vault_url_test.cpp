#include "agent/base/version.hpp"
#include "agent/vault/cloud.hpp"
#include "agent/vault/request_text.hpp"
#include "agent/vault/url.hpp"
#include "tests/support/fake_vault_net.hpp"

using namespace scratchd;
using namespace scratchd::vault;

TEST_CASE("url: a vault stands one label below the cloud's suffix, over https, and nowhere else", "[vault]") {
    CHECK(must(parse_vault_url("https://contoso.vault.azure.net", "vault.azure.net")) ==
          endpoint{"contoso.vault.azure.net", 443, true});
    CHECK(must(parse_vault_url("HTTPS://Con-7.Vault.Azure.Net/", "vault.azure.net")).host == "con-7.vault.azure.net");
    CHECK(must(parse_vault_url("https://contoso.vault.azure.net:443", "vault.azure.net")).port == 443);
    CHECK(must(parse_vault_url("https://abc.vault.example.net:8443", "vault.example.net:8443")).port == 8443);
    auto const* const bad = GENERATE(
        "", "contoso.vault.azure.net", "http://contoso.vault.azure.net", "https://vault.azure.net",
        "https://evilvault.azure.net", "https://contoso.vault.azure.net.evil.example", "https://a.b.vault.azure.net",
        "https://contoso.vault.azure.net:8443", "https://contoso.vault.azure.net/secrets", "https://ab.vault.azure.net",
        "https://contoso.vault.azure.net?x=1", "https://contoso.vault.azure.net#x",
        "https://u:p@contoso.vault.azure.net", "https://contoso.vault.azure.net@evil.example",
        "https://con_toso.vault.azure.net", "https:///x", "https://abcdefghijklmnopqrstuvwxy.vault.azure.net",
        "https://-bc.vault.azure.net", "https://contoso..vault.azure.net", "https://contoso.vault.azure.cn",
        "https://contoso.vault.azure.net//", "https://contoso.vault.azure.net.",
        "https://contoso.vault.azure.net\r\nX: y", "https://%63ontoso.vault.azure.net");
    INFO(bad);
    CHECK(fails_with(parse_vault_url(bad, "vault.azure.net"), errc::vault_untrusted));
}

TEST_CASE("url: a registry stands below its suffix", "[vault]") {
    CHECK(must(parse_registry("Contoso.azurecr.io", "azurecr.io")).host == "contoso.azurecr.io");
    for (char const* bad : {"azurecr.io", "evilazurecr.io", "a.b.azurecr.io", "contoso.azurecr.io:5000",
                            "contoso.azurecr.io/x", "https://contoso.azurecr.io", ""})
        CHECK(fails_with(parse_registry(bad, "azurecr.io"), errc::vault_untrusted));
}

TEST_CASE("url: names of secrets never leave their place in the path", "[vault]") {
    for (char const* good : {"a", "training-data", "A9", "-"}) CHECK(is_secret_name(good));
    CHECK(is_secret_name(std::string(127, 'x')));
    CHECK_FALSE(is_secret_name(std::string(128, 'x')));
    for (char const* bad : {"", "..", "a/b", "a/../b", "a%2fb", "a b", "a?b", "a#b", "a.b", "a_b", "ä", "a\n"})
        CHECK_FALSE(is_secret_name(bad));
    CHECK(is_version("c8fbd222f76d4e07b3cade8c946274db"));
    for (char const* bad : {"", "c8fbd222f76d4e07b3cade8c946274d", "c8fbd222f76d4e07b3cade8c946274dbb",
                            "c8fbd222f76d4e07b3cade8c946274d/", "../../../../../../../../../../xx"})
        CHECK_FALSE(is_version(bad));
}

TEST_CASE("url: a link is absolute, http or https, and carries no password", "[vault]") {
    auto const found = must(parse_link("https://V.vault.azure.net:443/secrets?api-version=7.3&$skiptoken=eyJ%3D"));
    CHECK(found.to == endpoint{"v.vault.azure.net", 443, true});
    CHECK(found.path == "/secrets");
    CHECK(found.query == "api-version=7.3&$skiptoken=eyJ%3D");
    CHECK_FALSE(must(parse_link("http://127.0.0.1:40342/a")).to.tls);
    for (std::string const bad :
         {"", "/x", "//h/x", "ftp://h/", "https://", "https://u@h/", "https://h/#f", "https://h:0/", "https://h:99999/",
          "https://[::1]/", "https://h%2e/", "https://h\\x/", "javascript:1"}) {
        INFO(bad);
        CHECK_FALSE(parse_link(bad).has_value());
    }
    CHECK_FALSE(parse_link("https://h/" + std::string(9000, 'x')).has_value());
}

TEST_CASE("cloud: each has its own names, and each can be replaced", "[vault]") {
    broker_config config;
    auto found = must(choose_cloud(config));
    CHECK(found.login == "login.microsoftonline.com");
    CHECK(found.vault_resource == "https://vault.azure.net");
    config.cloud = "china";
    CHECK(must(choose_cloud(config)).vault_resource == "https://vault.azure.cn");
    config.cloud = "us-government";
    CHECK(must(choose_cloud(config)).vault_suffix == "vault.usgovcloudapi.net");
    config.vault_suffix = "Vault.example.net:8443";
    config.login_host = "login.example.net";
    found = must(choose_cloud(config));
    CHECK(found.vault_suffix == "vault.example.net:8443");
    CHECK(found.vault_resource == "https://vault.example.net");
    CHECK(found.login == "login.example.net");
    config.vault_suffix = "https://vault.example.net";
    CHECK(fails_with(choose_cloud(config), errc::config_value));
    config.vault_suffix = "net";
    CHECK(fails_with(choose_cloud(config), errc::config_value));
    config = {};
    config.cloud = "germany";
    CHECK(fails_with(choose_cloud(config), errc::config_value));
}

TEST_CASE("request: it is one request, and only this machine is asked in the clear", "[vault]") {
    outgoing ask_for;
    ask_for.method = "POST";
    ask_for.to = {"login.example.net", 8443, true};
    ask_for.target = "/t?x=1";
    ask_for.headers = {{"Metadata", "true"}};
    ask_for.proof_name = "Authorization";
    ask_for.proof = fake::hidden("Bearer t");
    ask_for.body_type = "text/plain";
    ask_for.body = fake::hidden("body");
    CHECK(fake::text(must(request_text(ask_for))) ==
          "POST /t?x=1 HTTP/1.1\r\nHost: login.example.net:8443\r\nUser-Agent: scratchd/" + std::string(version) +
              "\r\nAccept-Encoding: identity\r\nConnection: close\r\nMetadata: true\r\nContent-Type: text/plain\r\n"
              "Content-Length: 4\r\nAuthorization: Bearer t\r\n\r\nbody");
    ask_for.to.tls = false;
    CHECK(fails_with(request_text(ask_for), errc::vault_untrusted));
    for (char const* host : {"169.254.169.254", "127.0.0.1", "localhost"}) {
        ask_for.to.host = host;
        CHECK(request_text(ask_for).has_value());
    }
    for (char const* host : {"169.254.169.2544", "127.evil.example", "168.63.129.16", "localhost.evil.example"}) {
        ask_for.to.host = host;
        CHECK(fails_with(request_text(ask_for), errc::vault_untrusted));
    }
    ask_for.to = {"h.example", 443, true};
    ask_for.proof = fake::hidden("Bearer " + fake::planted + "\r\nX: y");
    CHECK(fake::refused(request_text(ask_for), errc::internal));
    ask_for.proof = fake::hidden("Bearer t");
    ask_for.target = "/a b";
    CHECK(fails_with(request_text(ask_for), errc::internal));
}

TEST_CASE("form: all but unreserved characters are encoded", "[vault]") {
    form_field const fields[] = {{"a", "x y&z=+/%"}, {"b", "-._~"}, {"c", ""}};
    CHECK(fake::text(must(form_body(fields))) == "a=x%20y%26z%3D%2B%2F%25&b=-._~&c=");
    CHECK(must(form_body({})).size() == 0);
}
