// A volume that behaves, in memory: it has a key or not, is mounted or not, and can be told to fail at any step.
#pragma once

#include "agent/base/file.hpp"
#include "dmcrypt/volume.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

struct fake_volume final : scratchd::volume {
    struct mapping {
        dev_t device;
        bool live = true;
        bool mounted = true;
        bool shut = false;
        bool busy = false;  // stays when its key goes
    };
    std::map<std::string, mapping> world;
    std::set<std::string> failing;  // names of steps that fail
    std::vector<std::string> calls;
    temp_folder root;
    dev_t next_device = 100;
    int next_key = 1;  // the number that the next key is made of
    std::function<void(std::string const&)> on_step = [](auto const&) {};

    scratchd::result<> step(std::string const& name) {
        calls.push_back(name);
        on_step(name);
        if (failing.contains(name)) return scratchd::fail(scratchd::errc::io, "told to fail: " + name, EIO);
        return {};
    }

    scratchd::result<std::vector<scratchd::remnant>> survey() override {
        SCRATCHD_CHECK(step("survey"));
        std::vector<scratchd::remnant> all;
        for (auto const& [name, m] : world) all.push_back({name, m.device, m.live, m.busy ? 1 : 0});
        return all;
    }

    scratchd::result<scratchd::generation> create(scratchd::create_request const& request,
                                                  std::vector<scratchd::check>& proven, scratchd::deadline) override {
        auto key = scratchd::secret::make(64);
        key->bytes()[0] = static_cast<std::byte>(next_key++);
        SCRATCHD_TRY(auto fingerprint, request.admit_key(*key));
        SCRATCHD_CHECK(step("create"));
        auto const name = "scratchd-fake-" + std::to_string(request.number);
        world[name] = {next_device++, true, true, false, false};
        proven.push_back({"mounted", true, name});
        return scratchd::generation{request.number,
                                    name,
                                    {"disk"},
                                    root.path(),
                                    "aes-xts-plain64",
                                    512,
                                    4096,
                                    1 << 30,
                                    fingerprint,
                                    "canary-" + std::to_string(request.number)};
    }

    scratchd::result<> adopt(scratchd::generation const& expected) override {
        SCRATCHD_CHECK(step("adopt"));
        auto const found = world.find(expected.mapping);
        if (found == world.end() || !found->second.live || !found->second.mounted)
            return scratchd::fail(scratchd::errc::table_mismatch, "not as expected");
        return {};
    }

    scratchd::result<scratchd::unique_fd> open_root() override {
        SCRATCHD_CHECK(step("open_root"));
        return scratchd::open_file(root.path(), O_RDONLY | O_DIRECTORY);
    }

    scratchd::result<> shut_down(scratchd::remnant const& what) override {
        SCRATCHD_CHECK(step("shut_down"));
        world[what.mapping].shut = true;
        return {};
    }
    scratchd::result<> sample(scratchd::remnant const&) override { return step("sample"); }
    scratchd::result<> detach(scratchd::remnant const& what) override {
        SCRATCHD_CHECK(step("detach"));
        world[what.mapping].mounted = false;
        return {};
    }
    scratchd::result<scratchd::ending> destroy_key(scratchd::remnant const& what) override {
        SCRATCHD_CHECK(step("destroy_key"));
        auto& m = world[what.mapping];
        m.live = false;
        if (m.busy) return scratchd::ending::keyless;
        world.erase(what.mapping);
        return scratchd::ending::gone;
    }
    scratchd::result<> prove_dead(std::vector<scratchd::remnant> const& ended, std::vector<scratchd::check>& proven,
                                  std::vector<scratchd::remnant>& pending) override {
        SCRATCHD_CHECK(step("prove_dead"));
        for (auto const& r : ended) {
            auto const found = world.find(r.mapping);
            bool const dead = found == world.end() || !found->second.live;
            proven.push_back({"no-table", dead, r.mapping});
            if (!dead) return scratchd::fail(scratchd::errc::key_not_dead, r.mapping);
            if (found != world.end()) pending.push_back({r.mapping, found->second.device, false, 1});
        }
        proven.push_back({"no-key-in-keyring", true, ""});
        return {};
    }

    [[nodiscard]] std::size_t live_keys() const {
        return static_cast<std::size_t>(std::ranges::count_if(world, [](auto const& m) { return m.second.live; }));
    }
};
