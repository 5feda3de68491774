#include "agent/broker/agent_protocol.hpp"
#include "tests/support/fake_source.hpp"
#include "tests/support/ssh_data.hpp"

using namespace scratchd;
using broker::agent_connection;

namespace {

// The first message of ssh 9.2p1 on a connection, as it was recorded: session-bind with an Ed25519 host key.
constexpr std::string_view recorded_bind =
    "1b0000001873657373696f6e2d62696e64406f70656e7373682e636f6d000000330000000b7373682d65643235353139000000201fd49701f4"
    "0306d9a5b850712e3c7a6965d61db72ea193c7c7135db0ab5ce3b6000000401ef77a2b9cddec512580ba032a786526189eb4d978ee4dace3eb"
    "3134960bf89be3fc6ce76d0922ed99871d34fc85459ee18b2502533d711519c355c0ff8dff08000000530000000b7373682d65643235353139"
    "000000400fcb0bf89b2971fe9b856239389a9a71792acfaf3aeb0b52dbdef8e057b9dbcf9e41e18f15f4e6cb40e5760182d60bb18b2c75599b"
    "fd88d763f92e21f64a590000";

std::string unhex(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
    return out;
}

// The agent of one job with three keys, and the events it told of.
struct agent {
    fake_source source;
    std::vector<std::string> problems;
    broker::key_ring ring{source, [this](std::string const& name, error const&) { problems.push_back(name); }};
    std::vector<broker::agent_event> events;
    std::optional<agent_connection> connection;

    explicit agent(std::vector<std::string> hosts = {}) {
        connect();
        for (char const* name : {"ed25519", "rsa", "ecdsa256"}) {
            credential_config c{.name = name, .kind = "ssh"};
            c.hosts = hosts;
            source.add(std::move(c), secret_of(ssh_file(name)));
        }
    }
    void connect() {
        connection.emplace(ring, [this](broker::agent_event const& e) { events.push_back(e); });
    }
    std::string ask(std::string const& frame) { return must(connection->answer(as_bytes(frame))); }
    int type(std::string const& frame) { return static_cast<unsigned char>(ask(frame).at(0)); }
};

struct host {
    ssh_key key;
    std::string session;
    explicit host(std::string const& file, std::string id = std::string(32, 's'))
        : key(ssh_key_of(file)), session(std::move(id)) {}

    [[nodiscard]] std::string bind(bool forwarding = false) const {
        auto const signature = must(key.sign(as_bytes(session), sign_rsa_sha2_256));
        return bind_with(key.blob(), session, signature, forwarding);
    }
    static std::string bind_with(std::string const& blob, std::string const& id, std::string const& signature,
                                 bool forwarding) {
        wire_writer out;
        out.byte(27).string("session-bind@openssh.com").string(blob).string(id).string(signature);
        return out.byte(forwarding ? 1 : 0).take();
    }
};

std::string login(std::string const& session, std::string const& key_blob, std::string const& host_blob = "",
                  std::string const& user = "alice") {
    wire_writer out;
    out.string(session).byte(50).string(user).string("ssh-connection");
    out.string(host_blob.empty() ? "publickey" : "publickey-hostbound-v00@openssh.com").byte(1);
    out.string("ssh-ed25519").string(key_blob);
    if (!host_blob.empty()) out.string(host_blob);
    return out.take();
}

std::string sign(std::string const& key_blob, std::string const& data, std::uint32_t flags = 4) {
    return wire_writer().byte(13).string(key_blob).string(data).u32(flags).take();
}

constexpr int failure = 5;
constexpr int success = 6;
constexpr int signed_ = 14;
constexpr int extension_failure = 28;

}  // namespace

TEST_CASE("agent: lists what the job was granted, with its names", "[broker]") {
    agent a;
    auto const answer = a.ask("\x0b");
    wire_reader in(as_bytes(answer));
    CHECK(in.byte() == 12);
    REQUIRE(in.u32() == 3);
    for (char const* name : {"ed25519", "rsa", "ecdsa256"}) {
        CHECK(in.text() == blob_of(std::string(name) + ".pub"));
        CHECK(in.text() == name);
    }
    CHECK(in.done());
}

TEST_CASE("agent: signs with every kind of key, and the signature verifies", "[broker]") {
    agent a;
    for (char const* name : {"ed25519", "rsa", "ecdsa256"}) {
        INFO(name);
        auto const blob = blob_of(std::string(name) + ".pub");
        auto const data = login("session", blob);
        auto const answer = a.ask(sign(blob, data));
        wire_reader in(as_bytes(answer));
        REQUIRE(in.byte() == signed_);
        auto const signature = in.string();
        CHECK(in.done());
        CHECK(must(ssh_public_key::parse(as_bytes(blob))).verify(as_bytes(data), signature));
        CHECK(a.events.back().refusal.empty());
        CHECK(a.events.back().credential == name);
        CHECK(a.events.back().user == "alice");
    }
}

TEST_CASE("agent: RSA with SHA-1 and unknown keys are refused", "[broker]") {
    agent a;
    CHECK(a.type(sign(blob_of("rsa.pub"), "data", 0)) == failure);
    CHECK(a.type(sign(blob_of("ecdsa521.pub"), "data")) == failure);
    CHECK(a.events.back().refusal == "no such key");
    CHECK(a.type(sign("", "")) == failure);
}

TEST_CASE("agent: everything but listing, signing and binding is refused", "[broker]") {
    agent a;
    for (int type = 0; type < 256; ++type) {
        if (type == 11 || type == 13 || type == 27) continue;
        INFO(type);
        CHECK(a.type(std::string(1, static_cast<char>(type))) == failure);
        CHECK(a.type(std::string(1, static_cast<char>(type)) + "whatever follows") == failure);
    }
}

TEST_CASE("agent: extensions: it says which it knows and refuses the others", "[broker]") {
    agent a;
    CHECK(a.ask(wire_writer().byte(27).string("query").take()) ==
          wire_writer().byte(29).string("query").string("query").string("session-bind@openssh.com").take());
    CHECK(a.type(wire_writer().byte(27).string("query").string("more").take()) == failure);
    CHECK(a.type(wire_writer().byte(27).string("restrict-destination-v00@openssh.com").take()) == failure);
    CHECK(a.type(wire_writer().byte(27).string("").take()) == failure);
    CHECK(a.type("\x1b") == failure);
}

TEST_CASE("agent: a real client's binding verifies, and not with one bit changed", "[broker]") {
    agent a;
    auto const recorded = unhex(recorded_bind);
    CHECK(a.type(recorded) == success);
    for (std::size_t const at : {std::size_t{50}, std::size_t{100}, recorded.size() - 2}) {
        auto changed = recorded;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        agent other;
        CHECK(other.type(changed) == extension_failure);
    }
}

TEST_CASE("agent: hosts with every kind of key can be bound to", "[broker]") {
    auto const file = GENERATE("ed25519", "rsa", "rsa3072", "ecdsa256", "ecdsa384", "ecdsa521");
    INFO(file);
    agent a;
    CHECK(a.type(host(file).bind()) == success);
}

TEST_CASE("agent: a binding that does not hold is refused, and then nothing is signed", "[broker]") {
    auto const good = host("ed25519");
    auto const signature = must(good.key.sign(as_bytes(good.session), 0));
    auto const other = must(good.key.sign(as_bytes("another session"), 0));
    auto const blob = good.key.blob();
    std::string const frames[] = {
        host::bind_with(blob, good.session, other, false),
        host::bind_with(blob, "", signature, false),
        host::bind_with(blob, std::string(129, 's'), must(good.key.sign(as_bytes(std::string(129, 's')), 0)), false),
        host::bind_with(blob_of("other.pub"), good.session, signature, false),
        host::bind_with("", good.session, signature, false),
        host::bind_with(blob, good.session, "", false),
        good.bind() + "x",
        good.bind().substr(0, good.bind().size() - 1),
    };
    for (auto const& frame : frames) {
        agent a;
        CHECK(a.type(frame) == extension_failure);
        CHECK(a.type(sign(blob_of("ed25519.pub"), "data")) == failure);
        CHECK(a.ask("\x0b") == wire_writer().byte(12).u32(0).take());
    }
}

TEST_CASE("agent: one session a connection: again, after a login's, and more than 16 are refused", "[broker]") {
    host const first("ed25519");
    host const second("ecdsa256", "another session");
    {
        agent a;
        CHECK(a.type(first.bind(true)) == success);
        CHECK(a.type(first.bind(true)) == extension_failure);
    }
    {
        agent a;
        CHECK(a.type(first.bind()) == success);
        CHECK(a.type(second.bind()) == extension_failure);
    }
    agent a;
    for (int i = 0; i < 16; ++i) CHECK(a.type(host("ed25519", "session " + std::to_string(i)).bind(true)) == success);
    CHECK(a.type(host("ed25519", "one more").bind(true)) == extension_failure);
}

TEST_CASE("agent: nothing is signed or shown on a forwarded connection", "[broker]") {
    agent a;
    host const hop("ed25519", "hop");
    host const target("ecdsa256", "target");
    CHECK(a.type(hop.bind(true)) == success);
    auto const blob = blob_of("ed25519.pub");
    CHECK(a.type(sign(blob, login("hop", blob))) == failure);
    CHECK(a.events.back().refusal == "the connection is forwarded");
    CHECK(a.type(target.bind()) == success);
    CHECK(a.type(sign(blob, login("target", blob))) == failure);
    CHECK(a.ask("\x0b") == wire_writer().byte(12).u32(0).take());
}

TEST_CASE("agent: with hosts, only a login to one of them is signed", "[broker]") {
    host const allowed("ecdsa384");
    host const stranger("ecdsa521");
    auto const blob = blob_of("ed25519.pub");
    auto const hosts = std::vector{std::string("SHA256:none"), allowed.key.fingerprint()};
    auto const& session = allowed.session;
    SECTION("bound to it") {
        agent a(hosts);
        REQUIRE(a.type(allowed.bind()) == success);
        CHECK(a.type(sign(blob, login(session, blob))) == signed_);
        CHECK(a.type(sign(blob, login(session, blob, allowed.key.blob()))) == signed_);
        CHECK(a.events.back().host == allowed.key.fingerprint());

        CHECK(a.type(sign(blob, login(session, blob, stranger.key.blob()))) == failure);
        CHECK(a.type(sign(blob, login("another session", blob))) == failure);
        CHECK(a.type(sign(blob, login(session, blob_of("rsa.pub")))) == failure);
        CHECK(a.type(sign(blob, "SSHSIG and so on")) == failure);
        CHECK(a.type(sign(blob, login(session, blob) + "x")) == failure);
    }
    SECTION("bound to another") {
        agent a(hosts);
        REQUIRE(a.type(stranger.bind()) == success);
        CHECK(a.type(sign(blob, login(session, blob))) == failure);
        CHECK(a.type(sign(blob, login(session, blob, allowed.key.blob()))) == failure);
        CHECK(a.events.back().refusal == "not a host of this credential");
    }
    SECTION("not bound") {
        agent a(hosts);
        CHECK(a.type(sign(blob, login(session, blob))) == failure);
        CHECK(a.events.back().refusal == "the connection is not bound to a host");
    }
}

TEST_CASE("agent: a value that is withdrawn, rotated or no key is no longer signed with", "[broker]") {
    agent a;
    auto const blob = blob_of("ed25519.pub");
    CHECK(a.type(sign(blob, "data")) == signed_);
    a.source.values["ed25519"] = std::make_shared<secret const>(secret_of(ssh_file("other.pkcs8")));
    CHECK(a.type(sign(blob, "data")) == failure);
    CHECK(a.type(sign(blob_of("other.pub"), "data")) == signed_);
    a.source.values.erase("ed25519");
    CHECK(a.type(sign(blob_of("other.pub"), "data")) == failure);
    a.source.values["ed25519"] = std::make_shared<secret const>(secret_of("no key"));
    CHECK(a.ask("\x0b")[4] == 2);
    CHECK(a.ask("\x0b")[4] == 2);
    CHECK(a.problems == std::vector<std::string>{"ed25519"});  // told once
}

TEST_CASE("agent: an empty message ends the connection", "[broker]") {
    agent a;
    CHECK(fails_with(a.connection->answer({}), errc::bad_request));
}

TEST_CASE("agent: changed messages never sign for a stranger", "[broker][fuzz]") {
    host const allowed("ecdsa384");
    agent a({allowed.key.fingerprint()});
    auto const blob = blob_of("ed25519.pub");
    std::string const frames[] = {"\x0b", allowed.bind(), sign(blob, login(allowed.session, blob)),
                                  sign(blob, login(allowed.session, blob, allowed.key.blob())),
                                  wire_writer().byte(27).string("query").take()};
    mutator mutate(4);
    for (unsigned i = 0; i < 20000; ++i) {
        if (i % 4 == 0) a.connect();
        auto const reply = a.connection->answer(as_bytes(mutate(frames[i % std::size(frames)])));
        REQUIRE((reply.has_value() || reply.error().code == errc::bad_request));
    }
    for (auto const& e : a.events) REQUIRE((!e.refusal.empty() || e.host == allowed.key.fingerprint()));
}
