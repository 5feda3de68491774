#include "agent/job/node.hpp"

#include "agent/base/failpoint.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

namespace scratchd {
namespace {

using clock = std::chrono::steady_clock;

std::uint64_t ms_since(clock::time_point start) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start).count());
}

// NIST SP 800-88: cryptographic erase counts as purge only where all that was ever stored was encrypted first.
void claim_level(record& proof) {
    bool const clean = proof.outcome == "clean";
    bool const known = std::ranges::all_of(proof.disks, [](auto const& d) { return d.provenance == "blank"; });
    proof.level = !clean || proof.method != "crypto" ? "none" : known ? "purge" : "clear";
    proof.level_reason = !clean ? "not every check passed"
                         : proof.method != "crypto"
                             ? "other jobs still hold the volume: the folder was removed, the key lives on"
                         : known ? "cryptographic erase: blank when taken, encrypted ever since, the only key destroyed"
                                 : "cryptographic erase, but a disk held plain data before it was taken";
}

}  // namespace

result<record> node::write_record(record proof) {
    claim_level(proof);
    SCRATCHD_TRY(proof.sequence, parts_.records.append(proof));
    return proof;
}

// A new key, mapping and file system, once the old ones are proven gone.
result<> node::renew(record& proof, deadline until) {
    if (settings_.impediment) return std::unexpected(*settings_.impediment);
    create_request request{++now_.generations, now_.last_fingerprint, now_.last_canary, {}};
    request.admit_key = [&](secret const& key) -> result<std::string> {
        SCRATCHD_TRY(auto fingerprint, parts_.identity.key_fingerprint(key));
        SCRATCHD_CHECK(parts_.keys.admit(fingerprint));
        now_.last_fingerprint = fingerprint;
        return fingerprint;
    };
    SCRATCHD_CHECK(announce(node_state::wiping, "create"));
    auto const start = clock::now();
    SCRATCHD_TRY(auto made, parts_.scratch.create(request, proof.checks, until));
    proof.durations_ms["create"] = ms_since(start);
    now_.volume = std::move(made);
    now_.last_canary = now_.volume->canary;
    proof.generation_after = now_.volume->number;
    proof.key_after = now_.volume->fingerprint;
    return announce(node_state::wiping, "record");
}

result<end_outcome> node::wipe_all(wipe_context const& context) {
    auto const start = clock::now();
    auto const until = deadline::in(context.limit);
    record proof;
    proof.kind = "wipe";
    proof.method = "crypto";
    proof.job = context.job;
    proof.hbi = settings_.hbi;
    proof.who = context.who;
    proof.disks = settings_.disks;
    proof.generation_before = now_.volume ? now_.volume->number : 0;
    proof.key_before = now_.volume ? now_.volume->fingerprint : "";
    // A name that cannot be made must not keep a key alive.
    for (auto const& l : now_.leases)
        if (auto name = recorded_name(l.job)) proof.jobs.push_back(*std::move(name));

    kill_request const request{context.cgroups, until,
                               [&](std::string const& step) { return announce(node_state::wiping, step); },
                               [&]() -> result<> {
                                   result<> first;
                                   for (auto const& l : now_.leases)
                                       if (auto done = parts_.credentials.revoke(l.job); !done && first)
                                           first = std::move(done);
                                   return first;
                               }};
    auto killed = kill_volume(parts_.scratch, parts_.cleaning, request);
    proof.checks = std::move(killed.checks);
    proof.residue = std::move(killed.found);
    proof.durations_ms = std::move(killed.durations_ms);
    for (auto const& p : killed.pending)
        if (std::ranges::find(now_.pending, p.mapping) == now_.pending.end()) now_.pending.push_back(p.mapping);

    std::optional<error> problem;
    if (!killed.problems.empty()) problem = std::move(killed.problems.front());
    if (killed.key_dead) now_.volume.reset();
    if (!problem && until.passed())
        problem = error{errc::timed_out, 0, "the deadline passed before the new volume was begun"};
    if (!problem)
        if (auto renewed = renew(proof, until); !renewed) problem = std::move(renewed).error();

    proof.outcome = problem ? "failed" : "clean";
    if (problem) proof.reason = fmt::format("{} {}", code_text(problem->code), problem->message());
    proof.durations_ms["total"] = ms_since(start);
    auto written = write_record(proof);
    if (!written && !problem) problem = std::move(written).error();
    now_.wiped = last_wipe{written ? written->sequence : 0, std::time(nullptr), "crypto", ms_since(start), !problem};
    if (problem) {
        broke(*problem);
        return std::unexpected(*std::move(problem));
    }
    now_.leases.clear();
    now_.reason.clear();
    if (auto ready = announce(advance(now_.state, node_event::wiped).next, "ready"); !ready) {
        broke(ready.error());
        return std::unexpected(std::move(ready).error());
    }
    return end_outcome{true, *std::move(written), now_.volume->number};
}

result<end_outcome> node::end_one(lease const& leaving, end_spec const& spec) {
    auto const start = clock::now();
    auto const until = deadline::in(spec.limit.value_or(settings_.wipe_limit));
    lease const gone = leaving;
    record proof;
    proof.kind = "folder";
    proof.method = "folder";
    proof.hbi = settings_.hbi;
    proof.who = spec.who;
    proof.disks = settings_.disks;
    proof.generation_before = proof.generation_after = now_.volume ? now_.volume->number : 0;
    SCRATCHD_TRY(proof.job, recorded_name(gone.job));

    auto run = [&]() -> result<> {
        SCRATCHD_CHECK(announce(now_.state, "folder"));
        // A broker that hangs must not keep the job's processes alive.
        auto revoked = parts_.credentials.revoke(gone.job);
        auto groups = gone.cgroups;
        groups.insert(groups.end(), spec.cgroups.begin(), spec.cgroups.end());
        SCRATCHD_CHECK(parts_.cleaning.kill_groups(groups, proof.residue, until));
        SCRATCHD_TRY(auto const root, parts_.scratch.open_root());
        SCRATCHD_TRY(proof.residue["files"], parts_.cleaning.remove_folder(root.get(), gone.job, until));
        proof.checks.push_back({"folder-removed", true, "the volume stays: other jobs hold it"});
        return revoked;
    };
    auto done = run();
    proof.outcome = done ? "clean" : "failed";
    if (!done) proof.reason = fmt::format("{} {}", code_text(done.error().code), done.error().message());
    proof.durations_ms["total"] = ms_since(start);
    auto written = write_record(std::move(proof));
    if (done && !written) done = std::unexpected(std::move(written).error());
    if (!done) {
        broke(done.error());
        return std::unexpected(std::move(done).error());
    }
    std::erase_if(now_.leases, [&](auto const& l) { return l.job == gone.job; });
    SCRATCHD_CHECK(announce(now_.state, "left"));
    return end_outcome{true, *std::move(written), now_.volume ? now_.volume->number : 0};
}

bool node::settle(deadline until) {
    auto still_there = [&] {
        auto const found = parts_.scratch.survey();
        if (!found) return true;
        std::erase_if(now_.pending, [&](auto const& name) {
            return std::ranges::find(*found, name, &remnant::mapping) == found->end();
        });
        return !now_.pending.empty();
    };
    if (now_.pending.empty()) return false;
    auto const names = now_.pending;
    bool const waiting = still_there();
    // A node that is out already has nothing new to say until the mapping goes.
    if (waiting && (!until.passed() || now_.state == node_state::failed)) return true;
    record line;
    line.kind = "close";
    line.method = "crypto";
    line.hbi = settings_.hbi;
    line.outcome = waiting ? "failed" : "clean";
    line.who.program = "scratchd";
    line.disks = settings_.disks;
    line.generation_after = now_.volume ? now_.volume->number : 0;
    for (auto const& name : names)
        line.checks.push_back({"mapping-gone", std::ranges::find(now_.pending, name) == now_.pending.end(), name});
    error const why{errc::device_held, 0,
                    fmt::format("{} has no key but is still open, and no process shows as its user", names.front())};
    if (waiting) line.reason = fmt::format("{} {}", code_text(why.code), why.what);
    auto const written = write_record(std::move(line));
    if (waiting) broke(why);
    else if (!written) broke(written.error());
    else (void)announce(now_.state, "closed");
    return false;
}

}  // namespace scratchd
