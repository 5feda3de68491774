#include "dmcrypt/teardown.hpp"

#include "agent/base/mounts.hpp"
#include "dmcrypt/devmapper.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <thread>

namespace scratchd {
namespace {

// How long a mapping may stay open before the error target is used: a udev probe is over by then.
constexpr auto grace = std::chrono::milliseconds(150);
constexpr std::string_view stripe_suffix = "-disks";

bool reaches_disk(std::vector<dm::target> const& table) {
    return std::ranges::any_of(table, [](auto const& t) { return t.type != "error"; });
}

result<bool> exists(std::string const& name) {
    SCRATCHD_TRY(auto const now, dm::query(name));
    return now.exists;
}

// Tries to remove for at most `span`; false when it is still open then.
result<bool> remove_within(std::string const& name, std::chrono::milliseconds span) {
    auto const until = deadline::in(span);
    for (auto pause = std::chrono::milliseconds(1);; pause = std::min(pause * 2, std::chrono::milliseconds(16))) {
        auto removed = dm::remove(name);
        if (removed) return true;
        if (removed.error().sys == ENXIO) return true;
        if (removed.error().sys != EBUSY) return std::unexpected(std::move(removed).error());
        if (until.passed()) return false;
        std::this_thread::sleep_for(pause);
    }
}

}  // namespace

std::string stripe_name(std::string const& mapping) {
    return mapping + std::string(stripe_suffix);
}

result<std::vector<remnant>> survey_mappings() {
    SCRATCHD_TRY(auto const names, dm::list(mapping_prefix));
    std::vector<remnant> found;
    for (auto const& name : names) {
        SCRATCHD_TRY(auto const now, dm::query(name));
        if (!now.exists) continue;
        SCRATCHD_TRY(auto const table, dm::table(name));
        // A stripe alone, its crypt mapping not yet made or already gone, has no key but blocks the disks.
        bool const orphan = name.ends_with(stripe_suffix) &&
                            std::ranges::find(names, name.substr(0, name.size() - stripe_suffix.size())) == names.end();
        if (name.ends_with(stripe_suffix) && !orphan) continue;
        found.push_back({name, now.device, reaches_disk(table), now.open_count});
    }
    return found;
}

result<ending> end_mapping(std::string const& mapping) {
    auto outcome = ending::gone;
    SCRATCHD_TRY(auto const now, dm::query(mapping));
    if (now.exists) {
        SCRATCHD_TRY(auto const table, dm::table(mapping));
        bool const live = reaches_disk(table);
        SCRATCHD_TRY(bool const removed, remove_within(mapping, live ? grace : std::chrono::milliseconds(0)));
        if (!removed) {
            if (live) SCRATCHD_CHECK(dm::replace_by_error(mapping));
            if (!now.removal_deferred) SCRATCHD_CHECK(dm::remove_deferred(mapping));
            outcome = ending::keyless;
        }
    }
    auto const stripe = stripe_name(mapping);
    SCRATCHD_TRY(bool const striped, exists(stripe));
    if (striped) {
        SCRATCHD_TRY(bool const removed, remove_within(stripe, grace));
        if (!removed) return fail(errc::device_held, stripe + " stays in use below a mapping that has ended", EBUSY);
    }
    return outcome;
}

result<> prove_mapping_dead(remnant const& ended, std::vector<check>& proven, std::vector<remnant>& pending) {
    SCRATCHD_TRY(auto const now, dm::query(ended.mapping));
    if (!now.exists) {
        proven.push_back({"no-table", true, ended.mapping + " does not exist"});
        return {};
    }
    SCRATCHD_TRY(auto const table, dm::table(ended.mapping));
    bool const only_error = !table.empty() && !reaches_disk(table);
    proven.push_back(
        {"no-table", only_error, fmt::format("{} is {}", ended.mapping, table.empty() ? "empty" : table.front().type)});
    if (!only_error) return fail(errc::key_not_dead, ended.mapping + " still has a live table");
    pending.push_back({ended.mapping, now.device, false, now.open_count});
    return {};
}

}  // namespace scratchd
