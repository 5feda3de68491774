#include "agent/crypto/digest.hpp"
#include "agent/vault/key_vault.hpp"
#include "agent/vault/vault_errors.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/pki.hpp"

#include <fmt/format.h>

using namespace scratchd;
using namespace scratchd::vault;
using namespace std::chrono_literals;
using fake::planted;

namespace {

std::string const version = "c8fbd222f76d4e07b3cade8c946274db";
std::string const at = "https://contoso.vault.azure.net";

// A reply with `more` behind its value and id.
std::string reply(std::string const& more = R"("attributes":{"enabled":true})", std::string const& name = "train",
                  std::string const& host = "contoso.vault.azure.net") {
    return fmt::format(R"({{"value":"{}","id":"https://{}/secrets/{}/{}",{}}})", planted, host, name, version, more);
}

struct counting_identity final : identity_source {
    explicit counting_identity(fake::clock& clock) : clock(clock) {}
    fake::clock& clock;
    int asked = 0;
    task<result<access_token>> token(std::string, deadline) override {
        ++asked;
        co_return access_token{fake::hidden(fmt::format("{}-{}", planted, asked)), clock.at + 3600s, clock.at + 7200s};
    }
};

struct client {
    fake::net net;
    fake::clock clock;
    std::shared_ptr<counting_identity> who = std::make_shared<counting_identity>(clock);
    token_desk desk{clock, {{"default", who}}};
    key_vault vault{{net, clock}, must(choose_cloud({})), "7.4", desk};

    result<fetched> get(secret_ref what = {at, "train", "", "default"}, int seconds = 600) {
        return run(vault.get(std::move(what), fake::soon(seconds)));
    }
    result<std::vector<listed_secret>> list() { return run(vault.list(at, "default", fake::soon())); }
};

}  // namespace

TEST_CASE("key vault: a secret by name and by version, the token with the first request", "[vault]") {
    client c;
    c.net.always(
        200,
        reply(
            R"("contentType":"text/plain","attributes":{"enabled":true,"nbf":1,"exp":2000000000,"created":1,"recoveryLevel":"x","recoverableDays":90},"tags":{"a":"b"},"future":[1])"));
    auto const found = must(c.get());
    CHECK(fake::text(found.value) == planted);
    CHECK(found.version == version);
    CHECK(found.content_type == "text/plain");
    CHECK(found.expires == 2000000000);
    CHECK(c.net.log[0].url == at + "/secrets/train?api-version=7.4");
    CHECK(c.net.log[0].proof == "Authorization: Bearer " + planted + "-1");
    must(c.get({at, "TRAIN", version, "default"}));
    CHECK(c.net.log[1].url == at + "/secrets/TRAIN/" + version + "?api-version=7.4");
    CHECK(c.who->asked == 1);
    CHECK_FALSE(must(c.get()).value.size() == 0);
}

TEST_CASE("key vault: escapes in a value are undone", "[vault]") {
    client c;
    c.net.always(200, R"({"value":"a\n\"\u00e4\\","id":"https://contoso.vault.azure.net:443/secrets/train/)" + version +
                          R"(","attributes":{"enabled":true}})");
    CHECK(fake::text(must(c.get()).value) == "a\n\"\u00e4\\");
}

TEST_CASE("key vault: names, versions, vaults and identities that are none are refused before anything is sent",
          "[vault]") {
    client c;
    for (char const* name : {"", "..", "a/b", "../x", "a?b", "a%2Fb", "a.b"})
        CHECK(fails_with(c.get({at, name, "", "default"}), errc::bad_request));
    CHECK(fails_with(c.get({at, "train", "../x", "default"}), errc::bad_request));
    CHECK(fails_with(c.get({"https://contoso.evil.example", "train", "", "default"}), errc::vault_untrusted));
    CHECK(fails_with(c.get({"https://evilvault.azure.net", "train", "", "default"}), errc::vault_untrusted));
    CHECK(fails_with(c.get({at, "train", "", "nobody"}), errc::config_value));
    CHECK(c.net.log.empty());
    CHECK(c.who->asked == 0);
}

TEST_CASE("key vault: enabled, nbf and exp are enforced here", "[vault]") {
    client c;
    auto with = [&](std::string const& attributes) {
        c.net.always(200, reply("\"attributes\":{" + attributes + "}"));
        return c.get();
    };
    CHECK(fake::refused(with(R"("enabled":false)"), errc::secret_disabled));
    CHECK(fake::refused(with(R"("enabled":true,"exp":1699999999)"), errc::secret_expired));
    CHECK(fake::refused(with(R"("enabled":true,"exp":1700000000)"), errc::secret_expired));
    CHECK(fake::refused(with(R"("enabled":true,"nbf":1700000001)"), errc::secret_expired));
    CHECK(with(R"("enabled":true,"nbf":1700000000,"exp":1700000001)").has_value());
    CHECK(with(R"("enabled":true,"nbf":null,"exp":null)").has_value());
    for (char const* bad : {"", R"("enabled":"true")", R"("enabled":null)", R"("enabled":true,"exp":"soon")",
                            R"("enabled":true,"nbf":1.5)", R"("enabled":true,"exp":{})"})
        CHECK(fake::refused(with(bad), errc::vault_malformed));
}

TEST_CASE("key vault: the secret of another vault or another name is refused", "[vault]") {
    client c;
    auto const enabled = R"("attributes":{"enabled":true})";
    c.net.always(200, reply(enabled, "other"));
    CHECK(fake::refused(c.get(), errc::vault_untrusted));
    c.net.always(200, reply(enabled, "train", "evil.vault.azure.net"));
    CHECK(fake::refused(c.get(), errc::vault_untrusted));
    c.net.always(200, reply(enabled, "train", "contoso.vault.azure.net:8443"));
    CHECK(fake::refused(c.get(), errc::vault_untrusted));
    c.net.always(200, reply());
    CHECK(fake::refused(c.get({at, "train", "00000000000000000000000000000000", "default"}), errc::vault_untrusted));
}

TEST_CASE("key vault: a body that is no answer is refused, and repeats nothing", "[vault]") {
    std::string const bad = GENERATE(
        as<std::string>{}, "", "null", "[]", "\"x\"", "<html>" + planted + "</html>", reply().substr(0, 60),
        reply() + "x", std::string(200000, '['), R"({"a":)" + std::string(200000, '['),
        std::string((1U << 20U) + 1, ' ') + reply(), R"({"value":"x",)" + reply().substr(1),
        R"({")" + planted + R"(":1,")" + planted + R"(":2})", reply(R"("attributes":{"enabled":true,"enabled":true})"),
        reply(R"("attributes":[])"), reply(R"("attributes":null)"), reply(R"("x":1)"),
        reply(R"("attributes":{"enabled":true},"contentType":5)"),
        reply(R"("attributes":{"enabled":true},"contentType":")" + std::string(256, 'x') + "\""),
        fmt::format(R"({{"value":5,"id":"{}/secrets/train/{}","attributes":{{"enabled":true}}}})", at, version),
        fmt::format(R"({{"value":"","id":"{}/secrets/train/{}","attributes":{{"enabled":true}}}})", at, version),
        fmt::format(R"({{"id":"{}/secrets/train/{}","attributes":{{"enabled":true}}}})", at, version),
        fmt::format(R"({{"value":"x","id":"{}/keys/train/{}","attributes":{{"enabled":true}}}})", at, version),
        fmt::format(R"({{"value":"x","id":"{}/secrets/train/../x","attributes":{{"enabled":true}}}})", at),
        std::string(R"({"value":"x","id":5,"attributes":{"enabled":true}})"),
        std::string(R"({"value":"x","id":"secrets/train","attributes":{"enabled":true}})"));
    INFO(bad.substr(0, 120));
    client c;
    c.net.always(200, bad);
    CHECK(fake::refused(c.get(), errc::vault_malformed));
    c.net.always(200, reply());
    CHECK(c.get().has_value());  // and the next request works
}

TEST_CASE("key vault: refusals are told apart by the inner code", "[vault]") {
    struct row {
        int status;
        char const* code;
        char const* inner;
        errc what;
    };
    auto const r = GENERATE(values<row>({{403, "Forbidden", "SecretDisabled", errc::secret_disabled},
                                         {403, "Forbidden", "ForbiddenByFirewall", errc::vault_denied},
                                         {403, "Forbidden", "ForbiddenByRbac", errc::vault_denied},
                                         {403, "Forbidden", "ForbiddenByPolicy", errc::vault_denied},
                                         {403, "Forbidden", "ForbiddenByConnection", errc::vault_denied},
                                         {403, "Forbidden", "PLANTED-7f3a9c", errc::vault_denied},
                                         {404, "SecretNotFound", "", errc::secret_missing},
                                         {409, "Conflict", "ObjectIsBeingDeleted", errc::secret_missing},
                                         {409, "Conflict", "ObjectIsDeletedButRecoverable", errc::secret_missing},
                                         {400, "BadParameter", "", errc::vault_malformed},
                                         {429, "Throttled", "", errc::vault_throttled},
                                         {404, "PLANTED-7f3a9c", "", errc::vault_malformed},
                                         {503, "SecretNotFound", "", errc::vault_unreachable},
                                         {204, "", "", errc::vault_malformed}}));
    INFO(r.status << " " << r.code << " " << r.inner);
    client c;
    c.net.always(r.status, fmt::format(R"({{"error":{{"code":"{}","message":"{}","innererror":{{"code":"{}"}}}}}})",
                                       r.code, planted, r.inner));
    auto const found = c.get();
    CHECK(fake::refused(found, r.what));
    bool const is_known = std::string_view(r.inner).starts_with("Forbidden");
    if (is_known)
        CHECK_THAT(found.error().message(), ContainsSubstring(r.inner) && ContainsSubstring("train of contoso"));
}

TEST_CASE("key vault: a gateway's page never withdraws a secret", "[vault]") {
    int const status = GENERATE(400, 404, 405, 409, 410, 500, 502, 503, 504);
    std::string const body =
        GENERATE(as<std::string>{}, "", "<html>" + planted, "{}", R"({"error":"x"})", R"({"error":{"code":404}})");
    client c;
    c.net.always(status, body);
    CHECK(fake::refused(c.get(), status >= 500 ? errc::vault_unreachable : errc::vault_malformed));
}

TEST_CASE("key vault: a refused token is replaced once", "[vault]") {
    auto const refusal =
        R"({"error":{"code":"Unauthorized","message":"[TokenExpired] Error validating token: 'S2S12086'."}})";
    client c;
    c.net.script({[&] { return fake::say(401, refusal); }, [] { return fake::say(200, reply()); }});
    CHECK(c.get().has_value());
    CHECK(c.who->asked == 2);
    CHECK(c.net.log[1].proof == "Authorization: Bearer " + planted + "-2");
    c.net.always(401, refusal);
    auto const found = c.get();
    CHECK(fake::refused(found, errc::vault_denied));
    CHECK_THAT(found.error().message(), ContainsSubstring("TokenExpired"));
    CHECK(c.who->asked == 3);
}

TEST_CASE("key vault: a signing key that is not resolved gets two short waits, then one new token", "[vault]") {
    client c;
    c.net.always(
        401,
        R"({"error":{"code":"Unauthorized","message":"AKV10046: Unable to resolve the key used for signature validation."}})");
    CHECK(fake::refused(c.get(), errc::vault_denied));
    CHECK(c.clock.waits == std::vector<int>{1, 1});
    CHECK(c.who->asked == 2);
    CHECK(c.net.log.size() == 4);
}

TEST_CASE("key vault: a challenge explains, and decides nothing", "[vault]") {
    client c;
    std::string const challenge =
        GENERATE(R"(Bearer authorization="https://login.evil.example/t", resource="https://vault.evil.example")",
                 R"(Bearer authorization="https://login.windows.net/t", resource="https://evilvault.azure.net")",
                 R"(Bearer resource="https://vault.azure.net", error="insufficient_claims", claims="PLANTED-7f3a9c")",
                 R"(Bearer resource="PLANTED-7f3a9c")", R"(Bearer resource="open)", R"(PoP nonce="PLANTED-7f3a9c")");
    INFO(challenge);
    c.net.always(401, "", {challenge});
    CHECK(fake::refused(c.get(), errc::vault_denied));
    for (auto const& sent : c.net.log) CHECK(sent.url.starts_with(at + "/secrets/"));
    c.net.always(200, reply());
    CHECK(c.get().has_value());  // nothing of it was kept
}

TEST_CASE("key vault: a list is read to its end, over the explicit port", "[vault]") {
    client c;
    auto item = [](char const* name) {
        return fmt::format(R"({{"id":"{}/secrets/{}","attributes":{{"enabled":true,"exp":5}},"managed":true}})", at,
                           name);
    };
    c.net.script(
        {[&] {
             return fake::say(
                 200,
                 fmt::format(
                     R"({{"value":[{},{}],"nextLink":"{}:443/secrets?api-version=7.4&$skiptoken=eyJ&maxresults=25"}})",
                     item("a"), item("b"), at));
         },
         [&] { return fake::say(200, fmt::format(R"({{"value":[],"nextLink":"{}:443/secrets?$skiptoken=2"}})", at)); },
         [&] { return fake::say(200, fmt::format(R"({{"value":[{}],"nextLink":null}})", item("c"))); }});
    auto const found = must(c.list());
    REQUIRE(found.size() == 3);
    CHECK(found[2].name == "c");
    CHECK(found[0].managed);
    CHECK(found[0].expires == 5);
    CHECK(c.net.log[0].url == at + "/secrets?maxresults=25&api-version=7.4");
    CHECK(c.net.log[1].url == at + "/secrets?api-version=7.4&$skiptoken=eyJ&maxresults=25");
}

TEST_CASE("key vault: a list that goes on elsewhere, or without end, is refused", "[vault]") {
    client c;
    for (char const* next :
         {"https://evil.vault.azure.net/secrets?x", "http://contoso.vault.azure.net/secrets?x",
          "https://contoso.vault.azure.net:8443/secrets?x", "https://contoso.vault.azure.net.evil.example/secrets"}) {
        c.net.always(200, fmt::format(R"({{"value":[],"nextLink":"{}"}})", next));
        CHECK(fails_with(c.list(), errc::vault_untrusted));
        CHECK(c.net.count("contoso.vault.azure.net/") == c.net.log.size());
    }
    for (char const* body : {R"({"value":{}})", R"({"value":[1]})", R"({"value":[{}]})", R"({"value":[],"nextLink":5})",
                             R"({"value":[],"nextLink":"/secrets"})", "",
                             R"({"value":[],"nextLink":"https://contoso.vault.azure.net/keys"})"}) {
        c.net.always(200, body);
        CHECK(fails_with(c.list(), errc::vault_malformed));
    }
    c.net.always(200, fmt::format(R"({{"value":[],"nextLink":"{}/secrets?x"}})", at));
    CHECK(fails_with(c.list(), errc::vault_malformed));
}

TEST_CASE("key vault: a managed certificate becomes PEM, in either of its forms", "[vault]") {
    client c;
    auto const authority = issue({.name = "ca", .is_authority = true});
    auto const leaf = issue({.name = "leaf", .rsa = true}, &authority);
    auto managed = [&](std::string const& value, char const* type, char const* mark = R"("managed":true,)") {
        c.net.always(
            200,
            fmt::format(
                R"({{"value":"{}","contentType":"{}",{}"id":"{}/secrets/train/{}","attributes":{{"enabled":true}}}})",
                value, type, mark, at, version));
        return c.get();
    };
    auto const old = base64(as_bytes(leaf.pkcs12("", &authority, true)));
    CHECK(fake::text(must(managed(old, "application/x-pkcs12")).value).starts_with(leaf.key_pem()));
    auto const packed = base64(as_bytes(leaf.pkcs12("", &authority)));
    auto const found = must(managed(packed, "application/x-pkcs12"));
    CHECK(fake::text(found.value) == leaf.key_pem() + leaf.certificate_pem() + authority.certificate_pem());
    CHECK(found.content_type == "application/x-pem-file");
    CHECK(fake::text(must(managed(packed, "application/x-pkcs12", "")).value) == packed);  // somebody's own file
    CHECK(fake::text(must(managed(planted, "application/x-pem-file")).value) == planted);
    CHECK(fake::refused(managed(planted, "application/x-pkcs12"), errc::credential_format));
    CHECK(fake::refused(managed(base64(as_bytes(planted)), "application/x-pkcs12"), errc::credential_format));
    CHECK(fake::refused(managed(base64(as_bytes(leaf.pkcs12("pw"))), "application/x-pkcs12"), errc::credential_format));
    CHECK(fake::refused(managed(packed.substr(0, 400), "application/x-pkcs12"), errc::credential_format));
}
