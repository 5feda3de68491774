#include "agent/daemon/views.hpp"

#include "agent/base/time_text.hpp"
#include "agent/base/version.hpp"
#include "agent/config/delivery.hpp"

namespace scratchd {
namespace {

double seconds(std::uint64_t ms) {
    return static_cast<double>(ms) / 1000;
}

double total_of(record const& r) {
    auto const found = r.durations_ms.find("total");
    return found != r.durations_ms.end() ? seconds(found->second) : 0;
}

}  // namespace

api::status status_view(snapshot const& s, bool hbi, std::filesystem::path const& mount) {
    api::status view;
    view.state = state_text(s.state);
    view.reason = s.reason;
    view.step = s.state == node_state::wiping ? s.step : "";
    view.hbi = hbi;
    view.pending = s.pending;
    view.version = version;
    if (s.volume)
        view.volume = api::volume_view{
            s.volume->mapping,     s.volume->devices,    s.volume->mount, true, s.volume->cipher, s.volume->key_bits,
            s.volume->sector_size, s.volume->size_bytes, s.volume->number};
    for (auto const& l : s.leases)
        view.jobs.push_back({l.job, l.user, time_text(l.since), (mount / l.job).string(), l.credentials});
    if (s.wiped)
        view.last_wipe = api::last_wipe_view{s.wiped->sequence, time_text(s.wiped->time), s.wiped->method,
                                             seconds(s.wiped->duration_ms), s.wiped->verified};
    return view;
}

api::end_reply end_view(std::string const& id, end_outcome const& outcome) {
    auto const& r = outcome.proof;
    return {id, outcome.known, r.sequence, outcome.generation, total_of(r), r.checks, r.residue};
}

api::wipe_reply wipe_view(end_outcome const& outcome) {
    auto const& r = outcome.proof;
    return {r.method, r.level_reason, false, r.sequence, outcome.generation, total_of(r), r.checks};
}

api::report_line report_view(record const& r) {
    return {r.sequence, r.time, r.kind, r.job, r.outcome, r.method, r.level, total_of(r)};
}

api::environment job_environment(std::filesystem::path const& directory, std::vector<credential_config> const& granted,
                                 std::filesystem::path const& folder) {
    api::environment env{{"SCRATCHD_JOB_DIR", directory.string()}, {"TMPDIR", directory.string()}};
    if (docker_config_of(granted)) env["DOCKER_CONFIG"] = (folder / "docker").string();
    if (needs_agent(granted)) env["SSH_AUTH_SOCK"] = (folder / "ssh-agent.sock").string();
    return env;
}

}  // namespace scratchd
