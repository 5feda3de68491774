// A cleaner that notes what it is asked and can be told to fail.
#pragma once

#include "cleanup/cleaner.hpp"
#include "cleanup/remove_tree.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

struct fake_cleaner final : scratchd::cleaner {
    std::set<std::string> failing;
    std::vector<std::string> calls;
    std::vector<std::string> holders;  // who holds an ended device
    std::vector<std::string> groups;   // what the last kill_groups was told
    std::function<void(std::string const&)> on_step = [](auto const&) {};

    scratchd::result<> step(std::string const& name, scratchd::errc code = scratchd::errc::io) {
        calls.push_back(name);
        on_step(name);
        if (failing.contains(name)) return scratchd::fail(code, "told to fail: " + name);
        return {};
    }

    scratchd::result<> kill_groups(std::vector<std::string> const& cgroups, scratchd::residue& found,
                                   scratchd::deadline) override {
        found["processes"] += cgroups.size();
        groups = cgroups;
        return step("kill_groups", scratchd::errc::processes_survive);
    }
    scratchd::result<> kill_users(dev_t, scratchd::residue&, scratchd::deadline) override {
        return step("kill_users", scratchd::errc::processes_survive);
    }
    scratchd::result<> unstack(dev_t, scratchd::residue&) override { return step("unstack"); }
    scratchd::result<> clear_namespaces(dev_t, scratchd::residue&, scratchd::deadline) override {
        return step("clear_namespaces");
    }
    std::vector<std::string> name_holders(dev_t) override { return holders; }
    scratchd::result<std::size_t> remove_folder(int root_fd, std::string const& name,
                                                scratchd::deadline until) override {
        SCRATCHD_CHECK(step("remove_folder"));
        return scratchd::remove_tree(root_fd, name, until);
    }
};
