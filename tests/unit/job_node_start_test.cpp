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

TEST_CASE("node: a begin that fails leaves neither lease nor folder", "[job][node]") {
    node_fixture f;
    must(f.start());
    f.credentials.failing = {"grant"};
    REQUIRE_FALSE(f.begin("17").has_value());
    CHECK(f.at() == node_state::ready);
    CHECK(f.node().now().leases.empty());
    CHECK_FALSE(std::filesystem::exists(f.disk.root.path() / "17"));
    CHECK(f.credentials.calls.back() == "revoke 17");
}

TEST_CASE("node: a second begin that fails takes nothing from the job that runs", "[job][node]") {
    node_fixture f;
    must(f.start());
    auto const folder = must(f.begin("17")).directory;
    std::ofstream(folder / "data") << "x";
    auto const where = GENERATE(as<std::string>(), "grant", "open_root");
    f.credentials.failing = f.disk.failing = {where};
    CHECK_FALSE(f.begin("17").has_value());
    f.disk.failing = {};
    CHECK(f.at() == node_state::leased);
    CHECK(f.node().now().leases.size() == 1);
    CHECK(std::filesystem::exists(folder / "data"));
    CHECK(std::ranges::find(f.credentials.calls, "revoke 17") == f.credentials.calls.end());
    CHECK(must(f.end("17")).generation == 2);  // still the end of a job, not of a stranger
}

TEST_CASE("node: a folder that belongs to another user is not given away", "[job][node]") {
    if (geteuid() != 0) {
        WARN("needs root: skipped");
        return;
    }
    node_fixture f;
    must(f.start());
    auto const folder = f.disk.root.path() / "17";
    std::filesystem::create_directory(folder);
    REQUIRE(chown(folder.c_str(), 1, 1) == 0);
    CHECK(fails_with(f.begin("17"), errc::job_differs));
}

TEST_CASE("node: control groups of an earlier boot are somebody else's now", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17", {"/a"}));
    f.boot = "22222222-boot";
    must(f.start());
    CHECK(f.cleaning.groups.empty());
    require_ready(f);
}

TEST_CASE("node: a begin whose undoing fails too leaves a failed node", "[job][node]") {
    node_fixture f;
    must(f.start());
    f.credentials.failing = {"grant"};
    f.cleaning.failing = {"remove_folder"};
    REQUIRE_FALSE(f.begin("17").has_value());
    CHECK(f.at() == node_state::failed);
}

TEST_CASE("node: a restart takes over a leased volume that is as the journal says", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    must(f.start());
    CHECK(f.at() == node_state::leased);
    CHECK(f.node().now().leases.front().job == "17");
    CHECK(f.disk.live_keys() == 1);
    CHECK(must(f.end("17")).generation == 2);
}

TEST_CASE("node: a restart wipes everything else", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    auto const how =
        GENERATE(as<std::string>(), "unmounted", "keyless", "another boot", "ready", "journal gone", "journal changed");
    INFO(how);
    auto& mapping = f.disk.world.begin()->second;
    if (how == "unmounted") mapping.mounted = false;
    if (how == "keyless") mapping.live = false;
    if (how == "another boot") f.boot = "22222222-boot";
    if (how == "ready") must(f.end("17"));
    if (how == "journal gone") std::filesystem::remove(f.state.path() / "journal");
    if (how == "journal changed") {
        auto text = f.state.read("journal");
        text[text.size() / 2] ^= 1;
        f.state.write("journal", text);
    }
    auto const generation = f.node().now().generations;
    must(f.start());
    require_ready(f);
    CHECK(f.node().now().leases.empty());
    if (!how.starts_with("journal")) CHECK(f.node().now().volume->number == generation + 1);
}

TEST_CASE("node: a broken journal that cannot be put aside keeps no key alive", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    auto const device_before = f.disk.world.begin()->second.device;
    f.state.write("journal", "nonsense\n");
    std::filesystem::create_directory(f.state.path() / "journal.broken");
    CHECK_FALSE(f.start().has_value());
    CHECK(f.at() == node_state::failed);
    for (auto const& [name, m] : f.disk.world) CHECK(m.device != device_before);
    CHECK(fails_with(f.begin("18"), errc::node_failed));
}

TEST_CASE("node: an impediment ends what exists, but not under a running job", "[job][node]") {
    node_fixture f;
    must(f.start());
    bool const jobs = GENERATE(false, true);
    if (jobs) must(f.begin("17"));
    f.impediment = error{errc::disk_foreign, 0, "not ours"};
    CHECK(fails_with(f.start(), errc::disk_foreign));
    CHECK(f.at() == node_state::failed);
    CHECK(f.disk.live_keys() == (jobs ? 1U : 0U));
    CHECK_FALSE(f.begin("18").has_value());
    if (!jobs) return;
    CHECK(fails_with(f.end("17"), errc::disk_foreign));
    CHECK(f.disk.live_keys() == 0);
}

TEST_CASE("node: without disks it waits in quarantine", "[job][node]") {
    node_fixture f;
    f.impediment = error{errc::not_configured, 0, "no disk"};
    CHECK_FALSE(f.start().has_value());
    CHECK(f.at() == node_state::quarantine);
    CHECK(fails_with(f.begin("1"), errc::node_not_ready));
    CHECK(f.disk.world.empty());
}

TEST_CASE("node: a begin again adds its control groups to those that end with the job", "[job][node]") {
    node_fixture f;
    must(f.start());
    must(f.begin("17"));
    begin_spec again{must(job_id::parse("17")), "me", getuid(), getgid(), {"/sys/fs/cgroup/a"}, {}, {0, 1, "test"}};
    must(f.node().begin(again));
    must(f.node().begin(again));
    CHECK(must(f.log->last()).value().leases.front().cgroups == std::vector<std::string>{"/sys/fs/cgroup/a"});
    CHECK(must(f.end("17")).proof.residue.at("processes") == 1);
}

TEST_CASE("node: a wipe at start is the record of the jobs that it ended", "[job][node]") {
    node_fixture f;
    f.hbi = false;
    must(f.start());
    must(f.begin("17"));
    must(f.begin("18"));
    f.disk.world.clear();
    f.boot = "22222222-boot";
    must(f.start());
    auto const ended = must(f.end("17"));
    CHECK(ended.known);
    CHECK(ended.proof.jobs == std::vector<std::string>{"17", "18"});
    CHECK(must(f.end("18")).proof.sequence == ended.proof.sequence);
}

TEST_CASE("node: stopping ends an idle volume and leaves a leased one", "[job][node]") {
    node_fixture f;
    must(f.start());
    bool const job = GENERATE(false, true);
    if (job) must(f.begin("17"));
    must(f.node().stop());
    CHECK(f.disk.live_keys() == (job ? 1U : 0U));
}
