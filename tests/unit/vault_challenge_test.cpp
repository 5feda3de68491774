#include "agent/vault/challenge.hpp"
#include "tests/support/expect.hpp"

using namespace scratchd;
using namespace scratchd::vault;

TEST_CASE("challenge: the vault's own", "[vault]") {
    auto const found = must(parse_challenges(
        R"(Bearer authorization="https://login.windows.net/12345678-1234-1234-1234-123456789012", resource="https://vault.azure.net")"));
    REQUIRE(found.size() == 1);
    CHECK(found[0].scheme == "bearer");
    CHECK(found[0].parameter("resource") == "https://vault.azure.net");
    CHECK_FALSE(found[0].parameter("scope").has_value());
}

TEST_CASE("challenge: several in one line, with commas, spaces and padding inside quotes", "[vault]") {
    auto const found = must(parse_challenges(
        R"(Bearer realm="", authorization_uri="https://l/common", error_description="a, b: c and Bearer x=\"y\"", error="insufficient_claims", claims="eyJ9fQ==", PoP realm="", nonce="N1, N2")"));
    REQUIRE(found.size() == 2);
    CHECK(found[0].parameters.size() == 5);
    CHECK(found[0].parameter("error_description") == R"(a, b: c and Bearer x="y")");
    CHECK(found[1].scheme == "pop");
    CHECK(found[1].parameter("nonce") == "N1, N2");
}

TEST_CASE("challenge: every form that RFC 9110 allows", "[vault]") {
    CHECK(must(parse_challenges("")).empty());
    CHECK(must(parse_challenges(" , ,")).empty());
    CHECK(must(parse_challenges("Negotiate")).at(0).scheme == "negotiate");
    CHECK(must(parse_challenges("Negotiate, Basic realm=x")).size() == 2);
    CHECK(must(parse_challenges("NTLM TlRMTVNTUAAC/+==")).at(0).token68 == "TlRMTVNTUAAC/+==");
    CHECK(must(parse_challenges("BEARER  Realm = \"a\" ,, SCOPE=b")).at(0).parameter("scope") == "b");
    CHECK(must(parse_challenges(
                   "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\""))
              .size() == 2);
}

TEST_CASE("challenge: what breaks the grammar is refused whole", "[vault]") {
    std::string const bad = GENERATE("Bearer resource=\"open", "Bearer a=\"x\\", "Bearer a=\"1\", a=\"2\"", "realm=x",
                                     "Bearer a=, b=c", "Bearer =x", "Bearer a=\"x\"y", "\"Bearer\" a=b",
                                     "Bearer a=b c=d", "Bearer a b", "(", "Bearer a=\"x\ny\"", "Bearer a/b=c");
    INFO(bad);
    CHECK(fails_with(parse_challenges(bad), errc::vault_malformed));
}

TEST_CASE("challenge: of several fields, those that parse are looked at", "[vault]") {
    auto const found = find_challenge({"Bearer a=\"open", "Basic realm=x", "bearer resource=y"}, "bearer");
    REQUIRE(found.has_value());
    CHECK(found->parameter("resource") == "y");
    CHECK_FALSE(find_challenge({}, "bearer").has_value());
}

TEST_CASE("challenge: Azure Arc's realm stands without quotes", "[vault]") {
    CHECK(arc_realm({"Basic realm=/var/opt/azcmagent/tokens/1.key"}) == "/var/opt/azcmagent/tokens/1.key");
    CHECK(arc_realm({"Bearer x=y", "basic realm=\"/a/1.key\""}) == "/a/1.key");
    CHECK_FALSE(arc_realm({"Basic", "Bearer realm=/x"}).has_value());
}
