// A node on a temporary state folder with a fake disk and a fake cleaner below it, and restarts of it.
#pragma once

#include "agent/job/node.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/fake_cleaner.hpp"
#include "tests/support/fake_volume.hpp"

#include <memory>
#include <optional>

struct fake_credentials final : scratchd::credential_port {
    std::set<std::string> failing;
    std::vector<std::string> calls;
    std::function<void(std::string const&)> on_step = [](auto const&) {};
    scratchd::result<> grant(scratchd::lease const& job) override {
        calls.push_back("grant " + job.job);
        on_step(calls.back());
        if (failing.contains("grant")) return scratchd::fail(scratchd::errc::io, "told to fail: grant");
        return {};
    }
    scratchd::result<> revoke(std::string const& job) override {
        calls.push_back("revoke " + job);
        on_step(calls.back());
        if (failing.contains("revoke")) return scratchd::fail(scratchd::errc::io, "told to fail: revoke");
        return {};
    }
    scratchd::result<> restore(std::vector<scratchd::lease> const& running) override {
        for (auto const& l : running) calls.push_back("restore " + l.job);
        if (failing.contains("restore")) return scratchd::fail(scratchd::errc::io, "told to fail: restore");
        return {};
    }
};

struct node_fixture {
    temp_folder state;
    fake_volume disk;
    fake_cleaner cleaning;
    fake_credentials credentials;
    std::vector<scratchd::node_state> states;  // every one that was published
    std::string boot = "11111111-boot";
    bool hbi = true;
    std::optional<scratchd::error> impediment;

    std::unique_ptr<scratchd::node_identity> identity;
    std::optional<scratchd::journal> log;
    std::optional<scratchd::record_store> records;
    std::optional<scratchd::seen_keys> keys;
    std::unique_ptr<scratchd::node> running;

    // The daemon's start: everything is read anew from the state folder.
    scratchd::result<> start() {
        running.reset();
        identity = std::make_unique<scratchd::node_identity>(must(scratchd::node_identity::load(state.path())));
        log = must(scratchd::journal::open(state.path(), *identity));
        records = must(scratchd::record_store::open(state.path(), *identity, boot));
        keys = must(scratchd::seen_keys::open(state.path()));
        scratchd::node_settings settings{
            hbi, boot, disk.root.path(), std::chrono::seconds(30), {{"disk", "m", "s", 1, "blank"}}, impediment};
        running = std::make_unique<scratchd::node>(
            std::move(settings), scratchd::node_parts{disk, cleaning, *log, *records, *keys, *identity, credentials},
            [this](scratchd::snapshot const& s) { states.push_back(s.state); });
        return running->start({0, 1, "test"});
    }

    scratchd::node& node() { return *running; }
    scratchd::node_state at() { return running->now().state; }

    scratchd::result<scratchd::begin_outcome> begin(std::string const& job, std::vector<std::string> groups = {}) {
        return node().begin(
            {must(scratchd::job_id::parse(job)), "me", getuid(), getgid(), std::move(groups), {}, {0, 1, "test"}});
    }
    scratchd::result<scratchd::end_outcome> end(std::string const& job) {
        return node().end({must(scratchd::job_id::parse(job)), {}, {0, 1, "test"}, std::nullopt});
    }
};
