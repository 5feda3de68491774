#include "agent/crypto/digest.hpp"
#include "agent/crypto/signing.hpp"
#include "tests/support/expect.hpp"

#include <cstring>

using namespace scratchd;

namespace {

secret from_hex(std::string_view text) {
    auto s = must(secret::make(text.size() / 2));
    for (std::size_t i = 0; i < s.size(); ++i)
        s.bytes()[i] = static_cast<std::byte>(std::stoi(std::string(text.substr(2 * i, 2)), nullptr, 16));
    return s;
}

}  // namespace

TEST_CASE("digest: published vectors", "[crypto]") {
    CHECK(hex(must(sha256("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // RFC 4231, test case 2
    CHECK(hex(must(hmac_sha256(as_bytes("Jefe"), "what do ya want for nothing?"))) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("digest: HKDF depends on key, salt and purpose", "[crypto]") {
    auto const key = from_hex("000102030405060708090a0b0c0d0e0f");
    auto const other = from_hex("000102030405060708090a0b0c0d0e10");
    auto const one = hex(must(hkdf_sha512(key.bytes(), as_bytes("salt"), "a", 64)).bytes());
    CHECK(one.size() == 128);
    CHECK(hex(must(hkdf_sha512(key.bytes(), as_bytes("salt"), "a", 64)).bytes()) == one);
    CHECK(hex(must(hkdf_sha512(other.bytes(), as_bytes("salt"), "a", 64)).bytes()) != one);
    CHECK(hex(must(hkdf_sha512(key.bytes(), as_bytes("Salt"), "a", 64)).bytes()) != one);
    CHECK(hex(must(hkdf_sha512(key.bytes(), as_bytes("salt"), "b", 64)).bytes()) != one);
    CHECK(hex(must(hkdf_sha512(key.bytes(), {}, "a", 16)).bytes()).size() == 32);
}

TEST_CASE("base64: both ways, and strict", "[crypto]") {
    for (std::string const text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"})
        CHECK(must(base64_decode(base64(as_bytes(text)))) == text);
    CHECK(base64(as_bytes("foob")) == "Zm9vYg==");
    for (char const* bad : {"Zg", "Zg=", "Z===", "Zg==\n", " Zg=", "Zg=!", "====", "Zm9v\nYg="})
        CHECK_FALSE(base64_decode(bad).has_value());
}

TEST_CASE("signing: RFC 8032, test 2", "[crypto]") {
    auto const key =
        must(signing_key::from_seed(from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")));
    auto const signature = must(key.sign("\x72"));
    CHECK(hex(as_bytes(signature)) ==
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    auto const verifier = must(verifying_key::from_pem(must(key.public_pem())));
    CHECK(verifier.verify("\x72", signature));
    CHECK_FALSE(verifier.verify("\x73", signature));
    auto changed = signature;
    changed[5] ^= 1;
    CHECK_FALSE(verifier.verify("\x72", changed));
    CHECK_FALSE(verifier.verify("\x72", ""));
    CHECK(must(verifier.fingerprint()).size() == 64);
}

TEST_CASE("signing: what is no Ed25519 key is refused", "[crypto]") {
    CHECK_FALSE(verifying_key::from_pem("").has_value());
    CHECK_FALSE(verifying_key::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").has_value());
    CHECK_FALSE(signing_key::from_seed(must(secret::make(31))).has_value());
}
