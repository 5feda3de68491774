#include "agent/base/json.hpp"
#include "agent/job/disk_ledger.hpp"
#include "agent/job/hbi_seal.hpp"
#include "agent/job/record_store.hpp"
#include "agent/job/record_verify.hpp"
#include "agent/job/signed_json.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <sys/stat.h>
#include <boost/json.hpp>
#include <filesystem>

using namespace scratchd;
namespace fs = std::filesystem;

namespace {

struct chain_fixture {
    temp_folder state;
    node_identity identity = must(node_identity::load(state.path()));
    fs::path records = state.path() / "records";

    explicit chain_fixture(int count = 5) {
        auto store = must(record_store::open(state.path(), identity, "boot"));
        for (int i = 0; i < count; ++i) {
            record r;
            r.kind = "wipe";
            r.job = "job-" + std::to_string(i);
            r.outcome = "clean";
            r.checks = {{"key-destroyed", true, "x"}};
            must(store.append(r));
        }
    }

    fs::path file(int n) const { return record_file(records, static_cast<std::uint64_t>(n)); }
    std::string text(int n) const { return state.read("records/" + file(n).filename().string()); }
    // The same record with other fields, signed by the node's own key.
    void change(int n, std::string const& field, std::string const& value) const {
        auto const key = must(verifying_key::from_pem(must(identity.signer().public_pem())));
        auto body = must(open_signed_json(text(n), key));
        body[field] = value;
        put(n, must(sign_json(std::move(body), identity.signer())));
    }
    void put(int n, std::string const& text) const {
        ::chmod(file(n).c_str(), 0600);
        state.write("records/" + file(n).filename().string(), text);
    }
    chain_report verify() const { return must(verify_records(records, std::nullopt)); }
    // The problems as "code file", for one look.
    std::vector<std::string> problems() const {
        std::vector<std::string> all;
        for (auto const& p : verify().problems) all.push_back(code_text(p.code) + " " + p.file);
        return all;
    }
};

bool names(std::vector<std::string> const& problems, std::string const& file) {
    return std::ranges::any_of(problems, [&](auto const& p) { return p.contains(file); });
}

}  // namespace

TEST_CASE("records: an untouched chain is intact", "[evidence]") {
    chain_fixture const c;
    CHECK(c.problems().empty());
    CHECK(c.verify().records == 5);
    CHECK(must(verify_records(c.records, c.records / "node.pub")).problems.empty());
    CHECK(chain_fixture(0).problems().empty());
}

TEST_CASE("records: every single flipped byte is found and its record named", "[evidence]") {
    chain_fixture const c(2);
    auto const good = c.text(1);
    for (std::size_t at = 0; at < good.size(); at += 3) {
        auto bad = good;
        bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 7)));
        c.put(1, bad);
        INFO("byte " << at);
        REQUIRE(names(c.problems(), "00000001.json"));
    }
    c.put(1, good);
    CHECK(c.problems().empty());
}

TEST_CASE("records: a removed record is named, also the last one", "[evidence]") {
    chain_fixture const c;
    int const gone = GENERATE(1, 3, 5);
    fs::remove(c.file(gone));
    CHECK(c.problems() == std::vector<std::string>{"E0061 " + c.file(gone).filename().string()});
}

TEST_CASE("records: two records that changed places are named", "[evidence]") {
    chain_fixture const c;
    auto const second = c.text(2);
    auto const third = c.text(3);
    c.put(2, third);
    c.put(3, second);
    auto const found = c.problems();
    CHECK(names(found, "00000002.json"));
    CHECK(names(found, "00000003.json"));
    CHECK(found.front().starts_with("E0062"));
}

TEST_CASE("records: a record of another node is forged, though its own signature holds", "[evidence]") {
    chain_fixture const c;
    chain_fixture const stranger;
    c.put(4, stranger.text(4));
    auto const found = c.problems();
    REQUIRE_FALSE(found.empty());
    CHECK(found.front() == "E0063 00000004.json");
}

TEST_CASE("records: a chain signed anew by another key fails against the key kept elsewhere", "[evidence]") {
    chain_fixture const c;
    chain_fixture const forger;
    auto const report = must(verify_records(forger.records, c.records / "node.pub"));
    CHECK(report.problems.size() == 6);  // five records and the head
}

TEST_CASE("records: behind a gap a record under another number is still told", "[evidence]") {
    chain_fixture const c;
    fs::remove(c.file(2));
    c.put(3, c.text(5));
    CHECK(names(c.problems(), "E0062 00000003.json"));
}

TEST_CASE("records: a record that another history of the same node signed does not fit in", "[evidence]") {
    chain_fixture const c(2);
    temp_folder const other;
    fs::copy(c.state.path(), other.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    for (auto const& [folder, job] : {std::pair(c.state.path(), "told"), std::pair(other.path(), "untold")}) {
        auto store = must(record_store::open(folder, c.identity, "boot"));
        record r;
        r.job = job;
        must(store.append(r));
    }
    bool const newest = GENERATE(true, false);
    if (!newest) must(must(record_store::open(c.state.path(), c.identity, "boot")).append({}));
    c.put(3, other.read("records/00000003.json"));
    CHECK(c.problems() == std::vector<std::string>{newest ? "E0060 00000003.json" : "E0062 00000004.json"});
}

TEST_CASE("records: a head of earlier is no head of now", "[evidence]") {
    chain_fixture const c(2);
    auto const head = c.state.read("records/head.json");
    auto store = must(record_store::open(c.state.path(), c.identity, "boot"));
    must(store.append({}));
    must(store.append({}));
    ::chmod((c.records / "head.json").c_str(), 0600);
    c.state.write("records/head.json", head);
    CHECK(c.problems() == std::vector<std::string>{"E0062 head.json"});
}

TEST_CASE("records: a first one that has a predecessor, or one of another node, is named", "[evidence]") {
    chain_fixture const c(1);
    c.change(1, "previous", std::string(64, 'a'));
    CHECK(names(c.problems(), "E0062 00000001.json"));
    chain_fixture const d(1);
    d.change(1, "node", std::string(64, 'a'));
    CHECK(names(d.problems(), "E0063 00000001.json"));
}

TEST_CASE("records: a copied record under a new number is misplaced", "[evidence]") {
    chain_fixture const c;
    c.put(6, c.text(5));
    CHECK(names(c.problems(), "00000006.json"));
}

TEST_CASE("records: a truncated file, an empty one and a stranger in the folder are named", "[evidence]") {
    chain_fixture const c;
    c.put(2, c.text(2).substr(0, 100));
    c.put(4, "");
    c.state.write("records/notes.txt", "x");
    auto const found = c.problems();
    CHECK(names(found, "00000002.json"));
    CHECK(names(found, "00000004.json"));
    CHECK(names(found, "notes.txt"));
}

TEST_CASE("records: a power cut between record and head is no problem, and is healed by the next record",
          "[evidence]") {
    chain_fixture const c(4);
    auto const head = c.state.read("records/head.json");
    auto store = must(record_store::open(c.state.path(), c.identity, "boot"));
    must(store.append({}));
    ::chmod((c.records / "head.json").c_str(), 0600);
    c.state.write("records/head.json", head);
    CHECK(c.problems().empty());
    auto reopened = must(record_store::open(c.state.path(), c.identity, "boot"));
    CHECK(must(reopened.append({})) == 6);
    CHECK(c.problems().empty());
}

TEST_CASE("records: the chain goes on behind a removed end, so the gap stays visible", "[evidence]") {
    chain_fixture const c;
    fs::remove(c.file(5));
    auto store = must(record_store::open(c.state.path(), c.identity, "boot"));
    CHECK(must(store.append({})) == 6);
    CHECK(c.problems() == std::vector<std::string>{"E0061 00000005.json"});
}

TEST_CASE("records: a missing head is reported", "[evidence]") {
    chain_fixture const c;
    fs::remove(c.records / "head.json");
    CHECK(c.problems() == std::vector<std::string>{"E0061 head.json"});
}

TEST_CASE("signed JSON: only its own canonical form opens", "[evidence]") {
    temp_folder const state;
    auto const identity = must(node_identity::load(state.path()));
    auto const key = must(verifying_key::from_pem(must(identity.signer().public_pem())));
    auto const text = must(sign_json({{"b", 1}, {"a", "x"}}, identity.signer()));
    CHECK(must(open_signed_json(text, key)).at("a").as_string() == "x");
    CHECK(fails_with(open_signed_json(text.substr(0, text.size() - 1), key), errc::record_unreadable));
    CHECK(fails_with(open_signed_json(" " + text, key), errc::record_changed));
    CHECK(fails_with(open_signed_json("{\"a\":1}\n", key), errc::record_unreadable));
    CHECK(fails_with(open_signed_json("{\"a\":1,\"signature\":\"AAAA\"}\n", key), errc::record_forged));
    CHECK(fails_with(open_signed_json("[1]\n", key), errc::record_changed));
}

TEST_CASE("node key: made once, closed to others, refused when it is not", "[evidence]") {
    temp_folder const state;
    auto const first = must(node_identity::load(state.path()));
    CHECK(first.is_new());
    auto const second = must(node_identity::load(state.path()));
    CHECK_FALSE(second.is_new());
    CHECK(first.fingerprint() == second.fingerprint());
    CHECK(must(first.pseudonym("17")) == must(second.pseudonym("17")));
    CHECK(must(first.pseudonym("17")) != must(first.pseudonym("18")));
    auto const path = state.path() / "node.key";
    CHECK((fs::status(path).permissions() & fs::perms::all) == fs::perms::owner_read);
    ::chmod(path.c_str(), 0440);
    CHECK(fails_with(node_identity::load(state.path()), errc::state_insecure));
    ::chmod(path.c_str(), 0600);
    state.write("node.key", "short");
    CHECK(fails_with(node_identity::load(state.path()), errc::state_insecure));
}

TEST_CASE("node key: one that belongs to another user is refused", "[evidence]") {
    if (::geteuid() != 0) {
        WARN("needs root: skipped");
        return;
    }
    temp_folder const state;
    must(node_identity::load(state.path()));
    REQUIRE(::chown((state.path() / "node.key").c_str(), 1, 1) == 0);
    CHECK(fails_with(node_identity::load(state.path()), errc::state_insecure));
}

TEST_CASE("hbi: sealed once, in both directions", "[evidence]") {
    temp_folder const state;
    auto const identity = must(node_identity::load(state.path()));
    bool const hbi = GENERATE(true, false);
    CHECK(must(enforce_hbi_seal(state.path(), identity, hbi, "x:1:1", false)) == seal_outcome::made);
    CHECK(must(enforce_hbi_seal(state.path(), identity, hbi, "x:2:2", true)) == seal_outcome::unchanged);
    auto const refused = enforce_hbi_seal(state.path(), identity, !hbi, "y:3:3", true);
    REQUIRE(fails_with(refused, errc::hbi_sealed));
    CHECK_THAT(refused.error().what, ContainsSubstring("x:1:1") && ContainsSubstring("y:3:3"));
}

TEST_CASE("hbi: a seal that was removed, changed or made elsewhere is no fresh start", "[evidence]") {
    temp_folder const state;
    auto const identity = must(node_identity::load(state.path()));
    must(enforce_hbi_seal(state.path(), identity, true, "x", false));
    auto text = state.read("hbi.seal");
    ::chmod((state.path() / "hbi.seal").c_str(), 0600);
    text[text.find("true")] = 'T';
    state.write("hbi.seal", text);
    CHECK(fails_with(enforce_hbi_seal(state.path(), identity, true, "x", true), errc::hbi_sealed));
    temp_folder const other;
    auto const stranger = must(node_identity::load(other.path()));
    must(enforce_hbi_seal(other.path(), stranger, false, "x", false));
    fs::copy_file(other.path() / "hbi.seal", state.path() / "hbi.seal", fs::copy_options::overwrite_existing);
    CHECK(fails_with(enforce_hbi_seal(state.path(), identity, false, "x", true), errc::hbi_sealed));
    fs::remove(state.path() / "hbi.seal");
    CHECK(fails_with(enforce_hbi_seal(state.path(), identity, false, "x", true), errc::hbi_sealed));
}

TEST_CASE("disk ledger: remembers, and does not believe a changed file", "[evidence]") {
    temp_folder const state;
    auto const identity = must(node_identity::load(state.path()));
    auto ledger = must(disk_ledger::open(state.path(), identity));
    CHECK(ledger.provenance("m|s|1").empty());
    must(ledger.enrol("m|s|1", "blank"));
    auto const again = must(disk_ledger::open(state.path(), identity));
    CHECK(again.provenance("m|s|1") == "blank");
    CHECK(again.provenance("other").empty());
    auto text = state.read("disks.json");
    text.replace(text.find("m|s|1"), 5, "m|s|2");
    state.write("disks.json", text);
    CHECK(fails_with(disk_ledger::open(state.path(), identity), errc::state_insecure));
}
