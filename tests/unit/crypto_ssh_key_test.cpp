#include "agent/crypto/ssh_public_key.hpp"
#include "tests/support/ssh_data.hpp"

using namespace scratchd;

namespace {

constexpr std::string_view message = "what is signed";

struct sample {
    char const* file;
    char const* public_file;
    char const* type;
};
constexpr sample samples[] = {
    {"ed25519", "ed25519.pub", "ssh-ed25519"},
    {"ed25519.crlf", "ed25519.pub", "ssh-ed25519"},
    {"other.pkcs8", "other.pub", "ssh-ed25519"},
    {"rsa", "rsa.pub", "ssh-rsa"},
    {"rsa.pkcs1", "rsa.pub", "ssh-rsa"},
    {"rsa.pkcs8", "rsa.pub", "ssh-rsa"},
    {"rsa3072", "rsa3072.pub", "ssh-rsa"},
    {"ecdsa256", "ecdsa256.pub", "ecdsa-sha2-nistp256"},
    {"ecdsa256.sec1", "ecdsa256.pub", "ecdsa-sha2-nistp256"},
    {"ecdsa256.pkcs8", "ecdsa256.pub", "ecdsa-sha2-nistp256"},
    {"ecdsa256.compressed", "ecdsa256.pub", "ecdsa-sha2-nistp256"},
    {"ecdsa256.with-parameters", "ecdsa256.pub", "ecdsa-sha2-nistp256"},
    {"ecdsa384", "ecdsa384.pub", "ecdsa-sha2-nistp384"},
    {"ecdsa521", "ecdsa521.pub", "ecdsa-sha2-nistp521"},
};

std::string algorithm_of(std::string const& signature) {
    return std::string(wire_reader(as_bytes(signature)).text());
}

}  // namespace

TEST_CASE("ssh key: every form of every kind is read, and what it signs verifies", "[crypto][broker]") {
    for (auto const& s : samples) {
        INFO(s.file);
        auto const key = ssh_key_of(s.file);
        CHECK(key.type() == s.type);
        CHECK(key.blob() == blob_of(s.public_file));
        auto const verifier = must(ssh_public_key::parse(as_bytes(key.blob())));
        CHECK(verifier.fingerprint() == key.fingerprint());
        for (int again = 0; again < 3; ++again) {
            auto const signature = must(key.sign(as_bytes(message), sign_rsa_sha2_512));
            CHECK(verifier.verify(as_bytes(message), as_bytes(signature)));
            CHECK_FALSE(verifier.verify(as_bytes("something else"), as_bytes(signature)));
            CHECK_FALSE(verifier.verify(as_bytes(message), as_bytes(signature.substr(0, signature.size() - 1))));
            CHECK_FALSE(verifier.verify(as_bytes(message), as_bytes(signature + "x")));
        }
    }
}

TEST_CASE("ssh key: the fingerprint is the one that ssh-keygen prints", "[crypto][broker]") {
    CHECK(ssh_key_of("ed25519").fingerprint() == "SHA256:aEAJATjEqxVlG3a2WVb/tvKsvSVQwPw2YFLqY7vyJ9w");
}

TEST_CASE("ssh key: RSA signs with the digest that the flags name, and never with SHA-1", "[crypto][broker]") {
    auto const key = ssh_key_of("rsa");
    CHECK(algorithm_of(must(key.sign(as_bytes(message), 2))) == "rsa-sha2-256");
    CHECK(algorithm_of(must(key.sign(as_bytes(message), 4))) == "rsa-sha2-512");
    CHECK(algorithm_of(must(key.sign(as_bytes(message), 6))) == "rsa-sha2-256");
    for (std::uint32_t const flags : {0U, 1U, 8U, 0x80000000U})
        CHECK(fails_with(key.sign(as_bytes(message), flags), errc::bad_request));
}

TEST_CASE("ssh key: what cannot be used is refused with a word why, and without a byte of it", "[crypto][broker]") {
    struct refused {
        char const* file;
        char const* why;
    };
    auto const one = GENERATE(values<refused>({{"refused.encrypted-openssh", "passphrase"},
                                               {"refused.encrypted-pkcs1", "passphrase"},
                                               {"refused.encrypted-pkcs8", "passphrase"},
                                               {"refused.rsa1024", "2048"},
                                               {"refused.dsa", "not served"},
                                               {"refused.x25519", "not Ed25519, RSA or ECDSA"},
                                               {"refused.secp256k1", "curve"},
                                               {"refused.public", "no private key"}}));
    INFO(one.file);
    auto const key = ssh_key::parse(secret_of(ssh_file(one.file)));
    REQUIRE(fails_with(key, errc::credential_format));
    CHECK_THAT(key.error().message(), ContainsSubstring(one.why));
}

TEST_CASE("ssh key: text that is no key is refused", "[crypto][broker]") {
    auto const whole = ssh_file("ed25519");
    auto const cut = whole.substr(0, whole.size() / 2);
    for (std::string const& text :
         {std::string(), std::string("hello"), std::string(100000, '-'), std::string("-----BEGIN "),
          std::string("-----BEGIN PRIVATE KEY-----"), cut, cut + "\n-----END OPENSSH PRIVATE KEY-----",
          std::string("-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----"),
          std::string("-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----"),
          std::string("-----BEGIN PRIVATE KEY-----\nAAAA=\n-----END PRIVATE KEY-----"),
          std::string("-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----")})
        CHECK(fails_with(ssh_key::parse(secret_of(text)), errc::credential_format));
}

TEST_CASE("ssh key: a host's certificate stands for its key", "[crypto][broker]") {
    auto const key = ssh_key_of("ed25519");
    auto const certified = must(ssh_public_key::parse(as_bytes(blob_of("host-certificate.pub"))));
    CHECK(certified.fingerprint() == key.fingerprint());
    CHECK(certified.verify(as_bytes(message), as_bytes(must(key.sign(as_bytes(message), 0)))));
}

TEST_CASE("ssh key: a signature of another kind of algorithm does not verify", "[crypto][broker]") {
    auto const rsa = ssh_key_of("rsa");
    auto const verifier = must(ssh_public_key::parse(as_bytes(rsa.blob())));
    auto const signature = must(rsa.sign(as_bytes(message), sign_rsa_sha2_256));
    wire_reader in(as_bytes(signature));
    (void)in.string();
    auto const value = in.text();
    for (char const* name : {"ssh-rsa", "rsa-sha2-512", "ssh-ed25519", "", "rsa-sha2-256 "})
        CHECK_FALSE(verifier.verify(as_bytes(message), as_bytes(wire_writer().string(name).string(value).take())));
    CHECK(verifier.verify(as_bytes(message), as_bytes(wire_writer().string("rsa-sha2-256").string(value).take())));
}

TEST_CASE("ssh key: changed keys are refused or sign for what they say they are", "[crypto][broker][fuzz]") {
    mutator mutate(1);
    std::size_t still_keys = 0;
    constexpr unsigned inputs = 20000;
    for (unsigned i = 0; i < inputs; ++i) {
        auto const& s = samples[i % std::size(samples)];
        auto const key = ssh_key::parse(secret_of(mutate(ssh_file(s.file))));
        if (!key) {
            REQUIRE(key.error().code == errc::credential_format);
            continue;
        }
        ++still_keys;
        REQUIRE(ssh_public_key::parse(as_bytes(key->blob())).has_value());
    }
    CHECK(still_keys < inputs / 2);
}

TEST_CASE("ssh key: changed decoded keys are refused or sign for what they say they are", "[crypto][broker][fuzz]") {
    mutator mutate(2);
    char const* const files[] = {"ed25519", "ecdsa256", "ecdsa521", "rsa"};
    for (unsigned i = 0; i < 20000; ++i) {
        auto const text = ssh_file(files[i % std::size(files)]);
        auto const start = text.find('\n');
        auto const stop = text.find("-----END");
        auto body = text.substr(start, stop - start);
        std::erase(body, '\n');
        auto const changed = base64(as_bytes(mutate(must(base64_decode(body)))));
        auto const key = ssh_key::parse(secret_of(text.substr(0, start + 1) + changed + "\n" + text.substr(stop)));
        REQUIRE((key.has_value() || key.error().code == errc::credential_format));
    }
}

TEST_CASE("ssh key: changed public keys and signatures do not verify", "[crypto][broker][fuzz]") {
    mutator mutate(3);
    for (char const* name : {"ed25519", "ecdsa256", "rsa"}) {
        auto const key = ssh_key_of(name);
        auto const whole = must(ssh_public_key::parse(as_bytes(key.blob())));
        auto const signature = must(key.sign(as_bytes(message), sign_rsa_sha2_256));
        for (unsigned i = 0; i < 10000; ++i) {
            if (auto const parsed = ssh_public_key::parse(as_bytes(mutate(key.blob()))))
                (void)parsed->verify(as_bytes(message), as_bytes(signature));
            if (auto const changed = mutate(signature); changed != signature)
                REQUIRE_FALSE(whole.verify(as_bytes(message), as_bytes(changed)));
        }
    }
}
