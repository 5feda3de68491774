#include "agent/base/json.hpp"
#include "agent/crypto/assertion.hpp"
#include "agent/crypto/digest.hpp"
#include "agent/crypto/pkcs12.hpp"
#include "agent/crypto/secret_base64.hpp"
#include "tests/support/fake_vault_net.hpp"
#include "tests/support/pki.hpp"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <boost/json.hpp>

using namespace scratchd;

namespace {

std::string decoded(std::string_view part) {
    return fake::text(must(base64url_decode_secret(part)));
}

struct parts {
    std::string signed_text;
    boost::json::value header;
    boost::json::value claims;
    std::string signature;
};

parts take_apart(secret const& assertion) {
    auto const all = fake::text(assertion);
    auto const first = all.find('.');
    auto const second = all.find('.', first + 1);
    return {all.substr(0, second), must(json::parse(decoded(all.substr(0, first)))),
            must(json::parse(decoded(all.substr(first + 1, second - first - 1)))), decoded(all.substr(second + 1))};
}

bool verifies(parts const& from, issued const& who, bool pss) {
    auto* const context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    bool good = EVP_DigestVerifyInit(context, &options, EVP_sha256(), nullptr, who.key.get()) == 1;
    if (pss)
        good = good && EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    auto raw = [](std::string const& text) { return reinterpret_cast<unsigned char const*>(text.data()); };
    good = good && EVP_DigestVerify(context, raw(from.signature), from.signature.size(), raw(from.signed_text),
                                    from.signed_text.size()) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

std::string print_of(issued const& who, EVP_MD const* hash) {
    std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(who.certificate.get(), hash, reinterpret_cast<unsigned char*>(digest.data()), &size);
    return base64url(std::span(digest).first(size));
}

assertion_claims const claims{"https://login.example.net/t/oauth2/v2.0/token", "app-1", 1700000000};

}  // namespace

TEST_CASE("assertion: PS256 and RS256 verify, with the thumbprint that goes with each", "[crypto][vault]") {
    bool const pss = GENERATE(true, false);
    auto const who = issue({.name = "app", .rsa = true});
    auto const algorithm = pss ? assertion_algorithm::ps256 : assertion_algorithm::rs256;
    auto const pem = fake::hidden(who.certificate_pem() + who.key_pem());
    auto const made = take_apart(must(sign_assertion(pem, claims, algorithm)));
    CHECK(verifies(made, who, pss));
    CHECK(made.header.at("alg").as_string() == (pss ? "PS256" : "RS256"));
    CHECK(made.header.at(pss ? "x5t#S256" : "x5t").as_string() == print_of(who, pss ? EVP_sha256() : EVP_sha1()));
    CHECK(made.claims.at("aud").as_string() == claims.audience);
    CHECK(made.claims.at("iss").as_string() == "app-1");
    CHECK(made.claims.at("sub").as_string() == "app-1");
    CHECK(made.claims.at("nbf").as_int64() == 1700000000);
    CHECK(made.claims.at("exp").as_int64() == 1700000600);
    CHECK(made.claims.at("jti").as_string().size() == 36);
    auto const again = take_apart(must(sign_assertion(pem, claims, algorithm)));
    CHECK(again.claims.at("jti") != made.claims.at("jti"));
}

TEST_CASE("assertion: what is no RSA key with its certificate is refused", "[crypto][vault]") {
    auto const who = issue({.name = "app", .rsa = true});
    auto const other = issue({.name = "other", .rsa = true});
    auto const small = issue({.name = "ec"});
    for (auto const& pem :
         {std::string(), fake::planted, who.key_pem(), who.certificate_pem(), who.key_pem() + other.certificate_pem(),
          small.key_pem() + small.certificate_pem(), who.key_pem().substr(0, 200) + who.certificate_pem()})
        CHECK(fake::refused(sign_assertion(fake::hidden(pem), claims, assertion_algorithm::ps256),
                            errc::credential_format));
}

TEST_CASE("base64: into locked memory, both alphabets, and strict", "[crypto][vault]") {
    for (std::string const text : {"", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\xfd\xfb"}) {
        CHECK(fake::text(must(base64_decode_secret(base64(as_bytes(text))))) == text);
        CHECK(decoded(base64url(as_bytes(text))) == text);
        CHECK(fake::text(must(base64url_secret(as_bytes(text)))) == base64url(as_bytes(text)));
    }
    CHECK(base64url(as_bytes("\xff\xef")) == "_-8");
    for (char const* bad : {"Zg", "Zg=", "Z===", "Zg==\n", " Zg=", "Zg=!", "====", "Zh==", "Zm9v\nYg="})
        CHECK(fails_with(base64_decode_secret(bad), errc::bad_request));
    for (char const* bad : {"Z", "Zg==", "Zm+v", "Zh"})
        CHECK(fails_with(base64url_decode_secret(bad), errc::bad_request));
}

TEST_CASE("pkcs12: hostile files are refused", "[crypto][vault]") {
    auto const leaf = issue({.name = "leaf"});
    auto const whole = leaf.pkcs12("");
    CHECK(pkcs12_to_pem(as_bytes(whole)).has_value());
    for (std::size_t const cut : {0U, 1U, 20U, 200U}) CHECK_FALSE(pkcs12_to_pem(as_bytes(whole.substr(0, cut))));
    for (std::size_t at = 0; at < whole.size(); at += 7) {
        auto changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 0x55);
        (void)pkcs12_to_pem(as_bytes(changed));  // an error or not, but never a crash
    }
}
