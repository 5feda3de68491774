#include "tests/support/node_fixture.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

using namespace scratchd;

namespace {

void require_ready(node_fixture& f) {
    REQUIRE(f.at() == node_state::ready);
    CHECK(f.disk.live_keys() == 1);
    CHECK(f.disk.world.size() == 1);
    CHECK(f.node().now().reason.empty());
}

}  // namespace

TEST_CASE("node: a first start makes a volume and a record", "[job][node]") {
    node_fixture f;
    must(f.start());
    require_ready(f);
    auto const proof = must(f.records->read(1));
    CHECK(proof.kind == "wipe");
    CHECK(proof.outcome == "clean");
    CHECK(proof.level == "purge");
    CHECK(proof.generation_after == 1);
    CHECK(f.states.front() == node_state::wiping);
    CHECK(f.states.back() == node_state::ready);
}

TEST_CASE("node: a job's end gives a new generation, a record, and takes the lease away", "[job][node]") {
    node_fixture f;
    must(f.start());
    auto const begun = must(f.begin("17"));
    CHECK(begun.generation == 1);
    CHECK(std::filesystem::is_directory(begun.directory));
    CHECK(f.at() == node_state::leased);
    auto const ended = must(f.end("17"));
    CHECK(ended.generation == 2);
    CHECK(ended.proof.sequence == 2);
    CHECK(ended.proof.generation_before == 1);
    CHECK_FALSE(ended.proof.key_before == ended.proof.key_after);
    CHECK(f.node().now().leases.empty());
    require_ready(f);
}

TEST_CASE("node: with hbi a record knows the job by a pseudonym only", "[job][node]") {
    node_fixture f;
    f.hbi = GENERATE(true, false);
    must(f.start());
    must(f.begin("job-of-alice"));
    auto const ended = must(f.end("job-of-alice"));
    auto const text = must(f.records->read_file_text(ended.proof.sequence));
    CHECK(text.contains("job-of-alice") == !f.hbi);
    CHECK(ended.proof.job.starts_with("j-") == f.hbi);
    CHECK(must(f.end("job-of-alice")).proof.sequence == ended.proof.sequence);
}

// The heart of it: each action fails in turn, and the node is never ready because of it, nor is the key alive.
TEST_CASE("node: whatever step of an end fails, the node has failed and the key is dead", "[job][node]") {
    auto const where = GENERATE(as<std::string>(), "shut_down", "sample", "detach", "prove_dead", "create",
                                "kill_groups", "kill_users", "unstack", "clear_namespaces", "revoke");
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    auto const key_before = f.disk.world.begin()->first;
    f.disk.failing = f.cleaning.failing = f.credentials.failing = {where};
    INFO(where);
    auto const ended = f.end("17");
    REQUIRE_FALSE(ended.has_value());
    CHECK(f.at() == node_state::failed);
    CHECK(f.node().now().reason.starts_with("E00"));
    CHECK_FALSE((f.disk.world.contains(key_before) && f.disk.world[key_before].live));
    CHECK(f.node().now().leases.size() == 1);
    CHECK(fails_with(f.begin("18"), errc::node_failed));
    auto const proof = must(f.records->read(2));
    CHECK(proof.outcome == "failed");
    CHECK(proof.level == "none");
    // The same end again, when the cause is gone, makes it good.
    f.disk.failing = f.cleaning.failing = f.credentials.failing = {};
    must(f.end("17"));
    require_ready(f);
}

TEST_CASE("node: a key that cannot be destroyed is never called dead", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    f.disk.failing = {GENERATE(as<std::string>(), "destroy_key", "survey")};
    REQUIRE_FALSE(f.end("17").has_value());
    CHECK(f.at() == node_state::failed);
    CHECK(f.disk.live_keys() == 1);
    CHECK(f.node().now().volume.has_value());
    CHECK(must(f.records->read(2)).outcome == "failed");
}

TEST_CASE("node: a mapping that lives when all were ended is seen, whoever made it", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    f.disk.on_step = [&](std::string const& what) {
        if (what == "prove_dead") f.disk.world["scratchd-fake-stray"] = {99};
    };
    CHECK(fails_with(f.end("17"), errc::key_not_dead));
    CHECK(f.at() == node_state::failed);
    auto const proof = must(f.records->read(2));
    CHECK_FALSE(std::ranges::find(proof.checks, "no-live-mapping", &check::name)->ok);
}

TEST_CASE("node: a daemon that dies in an end never takes the volume over, though it is all there", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    f.cleaning.on_step = [](std::string const& what) {
        if (what == "kill_groups") throw std::runtime_error("the daemon died");
    };
    CHECK_THROWS(f.end("17"));
    f.cleaning.on_step = [](auto const&) {};
    CHECK(f.disk.live_keys() == 1);
    must(f.start());
    require_ready(f);
    CHECK(f.node().now().volume->number == 2);
}

TEST_CASE("node: one job's credentials that cannot be revoked do not keep another's", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("1"));
    must(f.begin("2"));
    f.disk.world.begin()->second.mounted = false;  // no volume to take over: both end
    f.credentials.failing = {"revoke"};
    CHECK_FALSE(f.start().has_value());
    CHECK(f.credentials.calls.back() == "revoke 2");
}

TEST_CASE("node: an end whose time is over kills the key and makes no new volume", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    auto const ended = f.node().end({must(job_id::parse("17")), {}, {0, 1, "test"}, std::chrono::milliseconds(0)});
    CHECK(fails_with(ended, errc::timed_out));
    CHECK(f.at() == node_state::failed);
    CHECK(f.disk.world.empty());
}

TEST_CASE("node: several jobs share it, and each takes only its own folder", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("1"));
    must(f.begin("2"));
    auto const left = must(f.end("1"));
    CHECK(left.proof.kind == "folder");
    CHECK(left.proof.level == "none");
    CHECK(left.generation == 1);
    CHECK_FALSE(std::filesystem::exists(f.disk.root.path() / "1"));
    CHECK(std::filesystem::exists(f.disk.root.path() / "2"));
    CHECK(must(f.end("2")).generation == 2);
    require_ready(f);
}

TEST_CASE("node: a keyless mapping that nobody holds is answered for and followed", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    auto const name = f.disk.world.begin()->first;
    f.disk.world.begin()->second.busy = true;
    auto const ended = must(f.end("17"));
    CHECK(f.at() == node_state::ready);
    CHECK(f.node().now().pending == std::vector<std::string>{name});
    CHECK(f.node().settle(deadline::in(std::chrono::seconds(5))));
    f.disk.world.erase(name);
    CHECK_FALSE(f.node().settle(deadline::in(std::chrono::seconds(5))));
    auto const closing = must(f.records->read(ended.proof.sequence + 1));
    CHECK(closing.kind == "close");
    CHECK(closing.outcome == "clean");
    CHECK(f.at() == node_state::ready);
}

TEST_CASE("node: a keyless mapping that does not go by the deadline takes the node out", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    f.disk.world.begin()->second.busy = true;
    must(f.end("17"));
    CHECK_FALSE(f.node().settle(deadline::in(std::chrono::seconds(0))));
    CHECK(f.at() == node_state::failed);
    CHECK(f.node().now().reason.starts_with("E0042"));
    CHECK(must(f.records->read(3)).outcome == "failed");
    CHECK(must(f.records->read(3)).disks.size() == 1);
    // Said once, not every time somebody looks.
    CHECK(f.node().settle(deadline::in(std::chrono::seconds(0))));
    CHECK(f.records->head().sequence == 3);
    std::erase_if(f.disk.world, [](auto const& m) { return !m.second.live; });
    CHECK_FALSE(f.node().settle(deadline::in(std::chrono::seconds(0))));
    CHECK(must(f.records->read(4)).outcome == "clean");
    CHECK(f.at() == node_state::failed);
}

TEST_CASE("node: an end that failed and was mended by a wipe answers with the wipe's record", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    f.disk.failing = {"create"};
    CHECK_FALSE(f.end("17").has_value());
    f.disk.failing.clear();
    auto const mended = must(f.node().wipe({0, 1, "test"}));
    auto const again = must(f.end("17"));
    CHECK(again.proof.sequence == mended.proof.sequence);
    CHECK(again.proof.outcome == "clean");
}

TEST_CASE("node: a keyless mapping that a process holds fails the end and names it", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    f.disk.world.begin()->second.busy = true;
    f.cleaning.holders = {"pid 4711 (python, uid 1001) by fd 3"};
    auto const ended = f.end("17");
    REQUIRE(fails_with(ended, errc::device_held));
    CHECK_THAT(ended.error().what, ContainsSubstring("pid 4711 (python, uid 1001)"));
    CHECK(f.disk.live_keys() == 0);
}

TEST_CASE("node: a key seen before is refused", "[job][node]") {
    node_fixture f;
    must(f.start());
    f.disk.next_key = 1;  // as in a machine restored from a snapshot
    CHECK(fails_with(f.node().wipe({0, 1, "test"}), errc::key_repeated));
    CHECK(f.at() == node_state::failed);
    CHECK(f.disk.live_keys() == 0);
}

TEST_CASE("node: every step is in the journal before it is done", "[job][node]") {
    node_fixture f;
    must(f.start());
    std::map<std::string, std::string> announced;  // what was done → the newest line of the journal then
    f.disk.on_step = f.cleaning.on_step =
        f.credentials.on_step = [&](std::string const& what) { announced.emplace(what, must(f.log->last())->step); };
    must(f.begin("17"));
    must(f.end("17"));
    announced.erase("survey");
    CHECK(announced == std::map<std::string, std::string>{{"open_root", "lease"},
                                                          {"grant 17", "lease"},
                                                          {"revoke 17", "revoke"},
                                                          {"kill_groups", "processes"},
                                                          {"kill_users", "processes"},
                                                          {"unstack", "stacked"},
                                                          {"shut_down", "shutdown"},
                                                          {"sample", "sample"},
                                                          {"detach", "unmount"},
                                                          {"clear_namespaces", "unmount"},
                                                          {"destroy_key", "key"},
                                                          {"prove_dead", "prove"},
                                                          {"create", "create"}});
    CHECK(must(f.log->last())->step == "ready");
}
