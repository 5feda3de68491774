#include "agent/job/kill_sequence.hpp"

#include "agent/base/failpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <chrono>

namespace scratchd {
namespace {

// Processes may need long to die; whatever they do, this much of the deadline is kept for the key.
constexpr std::chrono::milliseconds kept_for_key{8000};

class sequence {
public:
    sequence(volume& what, cleaner& cleaning, kill_request const& request)
        : volume_(what), cleaner_(cleaning), request_(request) {}

    kill_outcome run() {
        step("revoke", [&] { return request_.revoke ? request_.revoke() : result<>{}; });
        step("processes", [&] { return processes(); });
        step("stacked",
             [&] { return each([&](auto const& t) { return cleaner_.unstack(t.device, outcome_.found); }); });
        step("shutdown", [&] { return each([&](auto const& t) { return volume_.shut_down(t); }); });
        step("sample", [&] { return each([&](auto const& t) { return volume_.sample(t); }); });
        step("unmount", [&] { return unmount(); });
        step("key", [&] { return each([&](auto const& t) { return destroy(t); }); });
        step("prove", [&] { return prove(); });
        return std::move(outcome_);
    }

private:
    template <class F>
    void step(std::string const& name, F&& body) {
        auto const start = std::chrono::steady_clock::now();
        if (auto announced = request_.announce(name); !announced)
            outcome_.problems.push_back(std::move(announced).error());
        auto done = [&]() -> result<> {
            SCRATCHD_CHECK(SCRATCHD_FAILPOINT("step." + name));
            return body();
        }();
        if (!done) outcome_.problems.push_back(std::move(done).error().while_doing(name));
        auto const took = std::chrono::steady_clock::now() - start;
        outcome_.durations_ms[name] =
            static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    }

    // What the kernel has now, not what the journal says it should have.
    result<> survey() {
        SCRATCHD_TRY(targets_, volume_.survey());
        return {};
    }

    template <class F>
    result<> each(F&& body) {
        SCRATCHD_CHECK(survey());
        result<> first;
        for (auto const& target : targets_)
            if (auto done = body(target); !done && first) first = std::move(done);
        return first;
    }

    result<> processes() {
        auto const until =
            request_.until.at_most(std::max(std::chrono::milliseconds(1000), request_.until.left() - kept_for_key));
        result<> first = cleaner_.kill_groups(request_.cgroups, outcome_.found, until);
        auto users = each([&](auto const& t) { return cleaner_.kill_users(t.device, outcome_.found, until); });
        if (first) first = std::move(users);
        outcome_.checks.push_back({"processes-gone", first.has_value(),
                                   first ? "no process of the job, none on scratch" : first.error().message()});
        return first;
    }

    result<> unmount() {
        auto const until =
            request_.until.at_most(std::max(std::chrono::milliseconds(500), request_.until.left() - kept_for_key / 2));
        return each([&](auto const& t) -> result<> {
            SCRATCHD_CHECK(volume_.detach(t));
            return cleaner_.clear_namespaces(t.device, outcome_.found, until);
        });
    }

    result<> destroy(remnant const& target) {
        ended_.push_back(target);
        auto ended = volume_.destroy_key(target);
        outcome_.checks.push_back({"key-destroyed", ended.has_value(),
                                   !ended ? ended.error().message()
                                   : *ended == ending::gone
                                       ? target.mapping + " removed"
                                       : target.mapping + " carries the error target: its users hold an empty device"});
        if (!ended) return std::unexpected(std::move(ended).error());
        return {};
    }

    result<> prove() {
        SCRATCHD_CHECK(volume_.prove_dead(ended_, outcome_.checks, outcome_.pending));
        SCRATCHD_CHECK(survey());
        auto const live = std::ranges::find_if(targets_, &remnant::live);
        outcome_.key_dead = live == targets_.end();
        outcome_.checks.push_back({"no-live-mapping", outcome_.key_dead, outcome_.key_dead ? "" : live->mapping});
        if (!outcome_.key_dead) return fail(errc::key_not_dead, live->mapping + " is still alive");
        // Open without a process behind it: the kernel is still dropping cached files. A process is another matter.
        for (auto const& left : outcome_.pending) {
            auto const names = cleaner_.name_holders(left.device);
            if (names.empty()) continue;
            auto const who = fmt::format("{} is held by {}", left.mapping, fmt::join(names, ", "));
            outcome_.checks.push_back({"no-holder", false, who});
            return fail(errc::device_held, who);
        }
        outcome_.checks.push_back({"no-holder", true, "no process holds the ended volume"});
        return {};
    }

    volume& volume_;
    cleaner& cleaner_;
    kill_request const& request_;
    std::vector<remnant> targets_;
    std::vector<remnant> ended_;
    kill_outcome outcome_;
};

}  // namespace

std::vector<std::string> kill_steps() {
    return {"revoke", "processes", "stacked", "shutdown", "sample", "unmount", "key", "prove"};
}

kill_outcome kill_volume(volume& what, cleaner& cleaning, kill_request const& request) {
    return sequence(what, cleaning, request).run();
}

}  // namespace scratchd
