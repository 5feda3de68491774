#include "agent/job/journal.hpp"

#include "agent/job/seen_keys.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

using namespace scratchd;

namespace {

struct journal_fixture {
    temp_folder state;
    node_identity identity = must(node_identity::load(state.path()));

    journal open() const { return must(journal::open(state.path(), identity)); }
    void write(std::string const& step, journal& into) const {
        snapshot s;
        s.state = node_state::leased;
        s.step = step;
        s.leases = {{"17", "alice", 1001, 1001, 42, {"/sys/fs/cgroup/x"}, {"a"}}};
        s.volume = generation{3, "scratchd-x-3", {"d"}, "/mnt", "aes", 512, 4096, 99, "f", "c"};
        s.wiped = last_wipe{7, 8, "crypto", 9, true};
        must(into.write(s));
    }
};

}  // namespace

TEST_CASE("journal: the newest line comes back whole", "[job]") {
    journal_fixture const f;
    auto log = f.open();
    CHECK_FALSE(must(log.last()).has_value());
    f.write("one", log);
    f.write("two", log);
    auto const newest = must(f.open().last());
    REQUIRE(newest.has_value());
    CHECK(newest->step == "two");
    CHECK(newest->serial == 2);
    CHECK(newest->state == node_state::leased);
    CHECK(newest->leases.front().cgroups == std::vector<std::string>{"/sys/fs/cgroup/x"});
    CHECK(newest->volume->number == 3);
    CHECK(newest->wiped->sequence == 7);
}

TEST_CASE("journal: a line torn anywhere is dropped, and the next one stands alone", "[job]") {
    journal_fixture const f;
    auto log = f.open();
    f.write("one", log);
    auto const whole = f.state.read("journal");
    f.write("two", log);
    auto const both = f.state.read("journal");
    for (std::size_t cut = whole.size(); cut < both.size(); cut += 7) {
        f.state.write("journal", both.substr(0, cut));
        auto reopened = f.open();
        REQUIRE(must(reopened.last())->step == "one");
        f.write("three", reopened);
        REQUIRE(must(f.open().last())->step == "three");
    }
}

TEST_CASE("journal: a changed, moved, repeated or foreign line breaks it", "[job]") {
    journal_fixture const f;
    auto log = f.open();
    f.write("one", log);
    f.write("two", log);
    auto const text = f.state.read("journal");
    auto const middle = text.find('\n') + 1;
    auto const how = GENERATE(as<std::string>(), "byte", "swap", "repeat", "foreign", "garbage");
    auto bad = text;
    if (how == "byte") bad[100] ^= 2;
    if (how == "swap") bad = text.substr(middle) + text.substr(0, middle);
    if (how == "repeat") bad = text + text.substr(middle);
    if (how == "garbage") bad = "x\n" + text;
    if (how == "foreign") {
        journal_fixture const other;
        auto theirs = other.open();
        other.write("one", theirs);
        bad = other.state.read("journal");
    }
    f.state.write("journal", bad);
    INFO(how);
    auto reopened = f.open();
    CHECK(fails_with(reopened.last(), errc::journal_broken));
    must(reopened.set_aside());
    f.write("fresh", reopened);
    CHECK(must(f.open().last())->step == "fresh");
    CHECK(f.state.read("journal.broken") == bad);
}

TEST_CASE("journal: it stays small", "[job]") {
    journal_fixture const f;
    auto log = f.open();
    for (int i = 0; i < 3000; ++i) f.write("step", log);
    CHECK(f.state.read("journal").size() < (1U << 20U));
    CHECK(must(f.open().last())->serial == 3000);
}

TEST_CASE("seen keys: refused the second time, also after a restart and a torn line", "[job]") {
    temp_folder const state;
    std::string const a(64, 'a');
    std::string const b(64, 'b');
    auto keys = must(seen_keys::open(state.path()));
    must(keys.admit(a));
    CHECK(fails_with(keys.admit(a), errc::key_repeated));
    state.write("keys.seen", state.read("keys.seen") + "bbbb");
    auto again = must(seen_keys::open(state.path()));
    CHECK(fails_with(again.admit(a), errc::key_repeated));
    must(again.admit(b));
    CHECK(fails_with(must(seen_keys::open(state.path())).admit(b), errc::key_repeated));
}
