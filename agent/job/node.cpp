#include "agent/job/node.hpp"

#include "agent/base/failpoint.hpp"
#include "agent/job/job_folder.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <ctime>

namespace scratchd {

node::node(node_settings settings, node_parts parts, on_change changed)
    : settings_(std::move(settings)), parts_(parts), changed_(std::move(changed)) {
    now_.boot_id = settings_.boot_id;
}

result<> node::announce(node_state state, std::string step) {
    now_.state = state;
    now_.step = std::move(step);
    auto written = parts_.log.write(now_);
    changed_(now_);
    if (!written) return written;
    return SCRATCHD_FAILPOINT("journal." + now_.step);
}

void node::broke(error const& why) {
    now_.state = advance(now_.state, node_event::broke).next;
    now_.reason = fmt::format("{} {}", code_text(why.code), why.message());
    // When even this cannot be written, the step before it stands: still not ready after a restart.
    (void)announce(now_.state, "failed");
}

lease* node::find(std::string const& job) {
    auto const found = std::ranges::find(now_.leases, job, &lease::job);
    return found != now_.leases.end() ? &*found : nullptr;
}

std::vector<std::string> node::all_cgroups() const {
    std::vector<std::string> all;
    for (auto const& l : now_.leases) all.insert(all.end(), l.cgroups.begin(), l.cgroups.end());
    return all;
}

result<std::string> node::recorded_name(std::string const& job) const {
    if (job.empty() || !settings_.hbi) return job;
    return parts_.identity.pseudonym(job);
}

result<> node::start(initiator who) {
    auto last = parts_.log.last();
    bool adoptable = false;
    result<> aside;
    if (last && *last) {
        now_ = **last;
        // A snapshot of another boot says what was, not what is: its key died with that kernel.
        adoptable = now_.boot_id == settings_.boot_id && now_.state == node_state::leased && now_.volume &&
                    !now_.leases.empty() && !settings_.impediment && parts_.scratch.adopt(*now_.volume).has_value();
        if (now_.boot_id != settings_.boot_id) {
            now_.volume.reset();
            now_.pending.clear();
            // A control group of that name is another one now: nothing in it is the job's.
            for (auto& l : now_.leases) l.cgroups.clear();
        }
        now_.boot_id = settings_.boot_id;
    } else if (!last) {
        aside = parts_.log.set_aside();
        // The records remember how far the generations went: a mapping's name must not come twice in one boot.
        if (auto const newest = parts_.records.read(parts_.records.head().sequence))
            now_.generations = newest->generation_after;
    }
    if (settings_.impediment) return start_impeded(std::move(who));
    // Credentials of jobs that are gone must not outlive them; those of running jobs are taken up again.
    auto restored = parts_.credentials.restore(adoptable ? now_.leases : std::vector<lease>{});
    auto const next = advance(now_.state, adoptable ? node_event::started_adoptable : node_event::started);
    if (next.action == node_action::adopt) {
        now_.reason.clear();
        SCRATCHD_CHECK(announce(next.next, "adopted"));
    } else {
        auto wiped = wipe_all({"", std::move(who), all_cgroups(), settings_.wipe_limit});
        if (!wiped) return std::unexpected(std::move(wiped).error());
    }
    // The key had to go first; but behind a line that cannot be read nobody will find what is written now.
    if (!aside) broke(aside.error());
    else if (!restored) broke(restored.error());
    return aside ? restored : aside;
}

// Jobs that run keep their volume until their end, which destroys it; anything else of ours is ended now.
result<> node::start_impeded(initiator who) {
    auto const& why = *settings_.impediment;
    SCRATCHD_TRY(auto const found, parts_.scratch.survey());
    bool const jobs_run = now_.volume && !now_.leases.empty() &&
                          std::ranges::find(found, now_.volume->mapping, &remnant::mapping) != found.end();
    if (!jobs_run && !found.empty()) (void)wipe_all({"", std::move(who), all_cgroups(), settings_.wipe_limit});
    if (!jobs_run) now_.leases.clear();
    now_.reason = fmt::format("{} {}", code_text(why.code), why.message());
    (void)announce(why.code == errc::not_configured ? node_state::quarantine : node_state::failed, "impeded");
    return std::unexpected(why);
}

result<> node::stop() {
    // A job's volume outlives the daemon; so does a failed node's evidence in the kernel.
    if (now_.state != node_state::ready) return {};
    kill_request const request{{},
                               deadline::in(settings_.wipe_limit),
                               [&](std::string const& step) { return announce(node_state::quarantine, step); },
                               {}};
    auto ended = kill_volume(parts_.scratch, parts_.cleaning, request);
    now_.volume.reset();
    if (!ended.problems.empty()) return std::unexpected(ended.problems.front());
    return announce(node_state::quarantine, "stopped");
}

// What a job needs to run; each part is made only where it is missing.
result<> node::equip(lease const& job) {
    SCRATCHD_TRY(auto const root, parts_.scratch.open_root());
    SCRATCHD_CHECK(make_job_folder(root.get(), job.job, job.uid, job.gid));
    return parts_.credentials.grant(job);
}

// The job may be running: a failure here takes nothing from it. Control groups that are new to us end with it too.
result<begin_outcome> node::begin_again(begin_spec const& spec) {
    auto& known = *find(spec.job.text());
    auto const before = known.cgroups.size();
    for (auto const& group : spec.cgroups)
        if (std::ranges::find(known.cgroups, group) == known.cgroups.end()) known.cgroups.push_back(group);
    if (known.cgroups.size() != before) SCRATCHD_CHECK(announce(now_.state, "lease"));
    if (auto equipped = equip(known); !equipped)
        return std::unexpected(std::move(equipped).error().while_doing("begin of job " + known.job + " again"));
    return begin_outcome{known, now_.volume ? now_.volume->number : 0, settings_.mount / known.job};
}

result<begin_outcome> node::begin(begin_spec const& spec) {
    auto const next = advance(now_.state, node_event::begin);
    if (next.action != node_action::lease)
        return fail(next.refusal,
                    now_.reason.empty() ? fmt::format("the node is {}", state_text(now_.state)) : now_.reason);
    lease const wanted{spec.job.text(),    spec.user,    spec.uid,        spec.gid,
                       std::time(nullptr), spec.cgroups, spec.credentials};
    auto* const known = find(wanted.job);
    if (known != nullptr && (known->uid != wanted.uid || known->credentials != wanted.credentials))
        return fail(errc::job_differs, fmt::format("job {} began for {} with other settings", known->job, known->user));

    auto undo = [&](error why) -> std::unexpected<error> {
        auto const revoked = parts_.credentials.revoke(wanted.job);
        auto const root = parts_.scratch.open_root();
        auto const removed =
            root ? parts_.cleaning.remove_folder(root->get(), wanted.job, deadline::in(settings_.wipe_limit))
                 : result<std::size_t>(std::unexpected(root.error()));
        std::erase_if(now_.leases, [&](auto const& l) { return l.job == wanted.job; });
        auto const left = announce(now_.leases.empty() ? node_state::ready : node_state::leased, "begin-undone");
        // What cannot be undone leaves a trace of a job on a node that calls itself ready.
        if (!revoked || !removed || !left) broke(why);
        return std::unexpected(std::move(why).while_doing("begin of job " + wanted.job));
    };
    if (known != nullptr) return begin_again(spec);
    now_.leases.push_back(wanted);
    if (auto noted = announce(next.next, "lease"); !noted) {
        now_.leases.pop_back();
        now_.state = now_.leases.empty() ? node_state::ready : node_state::leased;
        changed_(now_);
        return std::unexpected(std::move(noted).error().while_doing("begin of job " + wanted.job));
    }
    if (auto equipped = equip(wanted); !equipped) return undo(std::move(equipped).error());
    if (auto passed = SCRATCHD_FAILPOINT("begin.folder"); !passed) return undo(std::move(passed).error());
    return begin_outcome{wanted, now_.volume ? now_.volume->number : 0, settings_.mount / wanted.job};
}

result<end_outcome> node::end(end_spec const& spec) {
    auto const* const leaving = find(spec.job.text());
    auto const others = now_.leases.size() - (leaving != nullptr ? 1 : 0);
    auto const event = leaving != nullptr ? (others > 0 ? node_event::end_one : node_event::end_last)
                                          : (others > 0 ? node_event::end_stranger : node_event::end_unknown);
    auto const next = advance(now_.state, event);
    if (next.action == node_action::refuse)
        return fail(next.refusal, fmt::format("the node is {}", state_text(now_.state)));
    if (next.action == node_action::nothing) return end_unknown(spec);
    if (next.action == node_action::remove_folder) return end_one(*leaving, spec);
    SCRATCHD_TRY(auto name, recorded_name(spec.job.text()));
    auto groups = all_cgroups();
    groups.insert(groups.end(), spec.cgroups.begin(), spec.cgroups.end());
    return wipe_all({std::move(name), spec.who, std::move(groups), spec.limit.value_or(settings_.wipe_limit)});
}

result<end_outcome> node::end_unknown(end_spec const& spec) {
    SCRATCHD_TRY(auto const name, recorded_name(spec.job.text()));
    SCRATCHD_TRY(auto earlier, parts_.records.find_job(name));
    auto const generation = now_.volume ? now_.volume->number : 0;
    if (earlier) return end_outcome{true, *std::move(earlier), generation};
    return end_outcome{false, {}, generation};
}

result<end_outcome> node::wipe(initiator who) {
    bool const held = now_.volume && !now_.leases.empty();
    auto const next = advance(now_.state, held ? node_event::wipe_asked_held : node_event::wipe_asked);
    if (next.action != node_action::wipe)
        return fail(next.refusal, next.refusal == errc::jobs_running
                                      ? fmt::format("{} job(s) hold the volume", now_.leases.size())
                                      : fmt::format("the node is {}", state_text(now_.state)));
    return wipe_all({"", std::move(who), all_cgroups(), settings_.wipe_limit});
}

}  // namespace scratchd
