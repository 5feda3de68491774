#include "agent/vault/identity.hpp"
#include "agent/vault/secret_file.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/pki.hpp"
#include "tests/support/temp_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace scratchd;
using namespace scratchd::vault;
using fake::planted;

namespace {

std::string const good =
    R"({"access_token":")" + planted + R"(","expires_in":"3600","client_id":"C","msi_res_id":"/r"})";

struct source {
    fake::net net;
    fake::clock clock;
    temp_folder folder;
    std::map<std::string, std::string> files;

    result<access_token> token(identity_config const& who, int seconds = 600) {
        auto made = make_identity(who, {{net, clock}, "login.microsoftonline.com", fake::files(files), folder.path()});
        if (!made) return std::unexpected(made.error());
        return run((*made)->token("https://vault.azure.net", fake::soon(seconds)));
    }
};

identity_config login(std::string const& file) {
    identity_config who{.name = "sp", .source = "service-principal"};
    who.tenant = "contoso.example";
    who.client_id = "app-1";
    (file.ends_with(".pem") ? who.certificate_file : who.secret_file) = file;
    return who;
}

}  // namespace

TEST_CASE("imds: it is asked as documented, with one selector", "[vault]") {
    source s;
    s.net.always(200, good);
    identity_config who{.name = "default", .source = "imds"};
    CHECK(fake::text(must(s.token(who)).value) == planted);
    auto const base =
        "http://169.254.169.254/metadata/identity/oauth2/"
        "token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
    CHECK(s.net.log.back().url == base);
    CHECK(s.net.log.back().headers.at("Metadata") == "true");
    CHECK(s.net.log.back().proof.empty());
    who.client_id = "C";
    must(s.token(who));
    CHECK(s.net.log.back().url == base + std::string("&client_id=C"));
    who.client_id.clear();
    who.resource_id = "/r";
    must(s.token(who));
    CHECK(s.net.log.back().url == base + std::string("&msi_res_id=%2Fr"));
    who.object_id = "o";
    CHECK(fails_with(s.token(who), errc::config_value));
}

TEST_CASE("imds: each status has its meaning, and no error repeats the body", "[vault]") {
    struct row {
        int status;
        char const* body;
        errc code;
    };
    auto const r = GENERATE(values<row>(
        {{400, R"({"error":"invalid_request","error_description":"Identity not found PLANTED-7f3a9c"})",
          errc::identity_refused},
         {400, "", errc::identity_refused},
         {400, R"({"error":{"code":"invalid_request","message":"PLANTED-7f3a9c"}})", errc::identity_refused},
         {400, R"({"error":"PLANTED-7f3a9c"})", errc::identity_refused},
         {401, "PLANTED-7f3a9c", errc::identity_refused},
         {403, "<html>PLANTED-7f3a9c", errc::identity_refused},
         {404, "{}", errc::vault_unreachable},
         {410, "[]", errc::vault_unreachable},
         {429, "", errc::vault_throttled},
         {500, "PLANTED-7f3a9c", errc::vault_unreachable},
         {503, "", errc::vault_unreachable},
         {204, "", errc::identity_refused},
         {200, "", errc::vault_malformed},
         {200, R"({"access_token":"PLANTED-7f3a9c"})", errc::vault_malformed},
         {302, "PLANTED-7f3a9c", errc::vault_untrusted}}));
    INFO(r.status << " " << r.body);
    source s;
    s.net.always(r.status, r.body);
    CHECK(fake::refused(s.token({.name = "default", .source = "imds"}), r.code));
}

TEST_CASE("imds: what passes is waited for", "[vault]") {
    source s;
    s.net.script({[] { return fake::say(404); }, [] { return fake::say(410); }, [] { return fake::break_off(); },
                  [] { return fake::say(429); }, [] { return fake::say(200, good); }});
    CHECK(s.token({.name = "default", .source = "imds"}).has_value());
    CHECK(s.clock.waits == std::vector<int>{2, 4, 8, 16});
}

TEST_CASE("login: a secret goes into the body of one request to the login service", "[vault]") {
    source s;
    s.files["app"] = planted + "&x\n";
    s.net.always(200, R"({"token_type":"Bearer","expires_in":86399,"access_token":"T"})");
    must(s.token(login("app")));
    auto const& sent = s.net.log.back();
    CHECK(sent.url == "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token");
    CHECK(sent.method == "POST");
    CHECK(sent.body ==
          "grant_type=client_credentials&client_id=app-1&scope=https%3A%2F%2Fvault.azure.net%2F.default"
          "&client_secret=" +
              planted + "%26x");
}

TEST_CASE("login: a refusal names the known reason and the trace id, nothing else", "[vault]") {
    source s;
    s.files["app"] = planted;
    s.net.always(401, R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret ')" +
                          planted + R"('","error_codes":[7000215],"trace_id":"b4c3978a-1708-407e-a57a-4c1ff2197900"})");
    auto const found = s.token(login("app"));
    CHECK(fake::refused(found, errc::identity_refused));
    CHECK_THAT(found.error().message(), ContainsSubstring("invalid_client") &&
                                            ContainsSubstring("AADSTS7000215: the client secret is wrong") &&
                                            ContainsSubstring("b4c3978a-1708-407e-a57a-4c1ff2197900"));
    s.net.always(400, R"({"error":"invalid_grant","error_description":"AADSTS","trace_id":")" + planted + R"("})");
    CHECK(fake::refused(s.token(login("app")), errc::identity_refused));
}

TEST_CASE("login: a certificate signs an assertion, made anew for every token", "[vault]") {
    source s;
    auto const issued = issue({.name = "app", .rsa = true});
    s.files["app.pem"] = issued.key_pem() + issued.certificate_pem();
    s.net.always(200, good);
    must(s.token(login("app.pem")));
    must(s.token(login("app.pem")));
    CHECK_THAT(s.net.log[0].body, ContainsSubstring("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-"
                                                    "assertion-type%3Ajwt-bearer&client_assertion=eyJ"));
    CHECK(s.net.log[0].body != s.net.log[1].body);
    s.files["app.pem"] = planted;
    CHECK(fake::refused(s.token(login("app.pem")), errc::credential_format));
    CHECK(fails_with(s.token(login("none.pem")), errc::secret_missing));
}

TEST_CASE("login: a federated token is read from its file each time", "[vault]") {
    source s;
    s.net.always(200, good);
    identity_config who{.name = "wi", .source = "workload-identity"};
    who.tenant = "t";
    who.client_id = "c";
    who.token_file = s.folder.write("token", "one\n");
    must(s.token(who));
    s.folder.write("token", "two");
    must(s.token(who));
    CHECK(s.net.log[0].body.ends_with("client_assertion=one"));
    CHECK(s.net.log[1].body.ends_with("client_assertion=two"));
    who.token_file = s.folder.path() / "none";
    CHECK(fails_with(s.token(who), errc::io));
}

TEST_CASE("arc: it is shown the content of the file that it names", "[vault]") {
    source s;
    auto const file = s.folder.write("1a-b.key", planted).string();
    s.net.script({[&] { return fake::say(401, "", {"Basic realm=" + file}); }, [] { return fake::say(200, good); }});
    CHECK(s.token({.name = "a", .source = "arc", .resource_id = "/r"}).has_value());
    CHECK(s.net.log[0].url ==
          "http://127.0.0.1:40342/metadata/identity/oauth2/"
          "token?api-version=2020-06-01&resource=https%3A%2F%2Fvault.azure.net&msi_res_id=%2Fr");
    CHECK(s.net.log[0].proof.empty());
    CHECK(s.net.log[1].proof == "Authorization: Basic " + planted);
}

TEST_CASE("arc: any other file, and an endpoint that asks for no proof, is refused", "[vault]") {
    source s;
    s.folder.write("1.key", planted);
    s.folder.write("1.txt", planted);
    s.folder.write("big.key", std::string(4097, 'x'));
    s.folder.write("empty.key", "");
    REQUIRE(::symlink("1.key", (s.folder.path() / "link.key").c_str()) == 0);
    REQUIRE(::mkfifo((s.folder.path() / "fifo.key").c_str(), 0600) == 0);
    REQUIRE(::mkdir((s.folder.path() / "dir.key").c_str(), 0700) == 0);
    auto const root = s.folder.path().string();
    for (auto const& path : {root + "/1.txt", root + "/../x.key", root + "/./1.key", root + "//1.key",
                             root + "/dir.key/1.key", root + "x/1.key", root, root + "/.key",
                             std::string("/etc/passwd"), std::string("1.key"), root + "/1.key\n"}) {
        INFO(path);
        CHECK(fake::refused(read_arc_challenge(path, root), errc::vault_untrusted));
        s.net.always(401, "", {"Basic realm=" + path});
        CHECK(fake::refused(s.token({.name = "a", .source = "arc"}), errc::vault_untrusted));
    }
    for (auto const* name : {"none.key", "link.key", "big.key", "empty.key", "fifo.key", "dir.key"})
        CHECK(fake::refused(read_arc_challenge(root + "/" + name, root), errc::io));
    CHECK(must(read_arc_challenge(root + "/1.key", root)).size() == planted.size());
    s.net.always(200, good);
    CHECK(fake::refused(s.token({.name = "a", .source = "arc"}), errc::vault_untrusted));
    s.net.always(401, "", {});
    CHECK(fake::refused(s.token({.name = "a", .source = "arc"}), errc::identity_refused));
}

TEST_CASE("ml-compute: its own spelling, its secret from a file", "[vault]") {
    source s;
    s.files["ml"] = planted + "\n";
    s.net.always(200, R"({"access_token":"T","expires_on":"2023-11-14T23:14:20Z","client_id":"C"})");
    identity_config who{.name = "ml", .source = "ml-compute"};
    who.client_id = "C";
    who.secret_file = "ml";
    who.endpoint = "http://127.0.0.1:46808/MSI/auth";
    must(s.token(who));
    CHECK(s.net.log[0].url ==
          "http://127.0.0.1:46808/MSI/auth?api-version=2017-09-01&resource=https%3A%2F%2Fvault.azure.net&clientid=C");
    CHECK(s.net.log[0].proof == "secret: " + planted);
    CHECK(s.net.log[0].headers.at("Metadata") == "true");
    s.files["ml"] = planted + "\r\nX: y";
    CHECK(fake::refused(s.token(who), errc::credential_format));
}

TEST_CASE("identity: a configuration that cannot work is refused at the start", "[vault]") {
    source s;
    auto wrong = [&](auto change) {
        identity_config who = login("app");
        change(who);
        CHECK(fails_with(s.token(who), errc::config_value));
    };
    wrong([](auto& w) { w.source = "env"; });
    wrong([](auto& w) { w.tenant = "../x"; });
    wrong([](auto& w) { w.tenant = ""; });
    wrong([](auto& w) { w.client_id = "a b"; });
    wrong([](auto& w) { w.secret_file = ""; });
    wrong([](auto& w) { w.certificate_file = "x.pem"; });
    wrong([](auto& w) { w.algorithm = "none"; });
    wrong([](auto& w) { w.source = "workload-identity"; });
    wrong([](auto& w) { w = {.name = "a", .source = "arc", .client_id = "c"}; });
    wrong([](auto& w) { w = {.name = "a", .source = "arc", .endpoint = "http://127.0.0.1/x?y=z"}; });
    wrong([](auto& w) { w = {.name = "a", .source = "ml-compute", .endpoint = "http://127.0.0.1/x"}; });
    wrong([](auto& w) { w = {.name = "a", .source = "ml-compute", .secret_file = "x"}; });
    wrong([](auto& w) { w = {.name = "a", .source = "ml-compute", .resource_id = "x"}; });
    wrong([](auto& w) { w = {.name = "a", .source = "arc", .endpoint = "http://10.0.0.1:40342/x"}; });
    wrong([](auto& w) {
        w = {.name = "a", .source = "ml-compute", .secret_file = "x", .endpoint = "http://evil.example/x"};
    });
    CHECK(s.net.log.empty());
}
