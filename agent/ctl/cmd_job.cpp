#include "agent/api/catalog.hpp"
#include "agent/api/codec.hpp"
#include "agent/ctl/commands.hpp"
#include "agent/ctl/table.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

namespace scratchd::ctl {
namespace {

// Longer than the daemon's own limit: it answers with a reason.
constexpr std::chrono::milliseconds slack = std::chrono::seconds(30);
constexpr double begin_seconds = 60;
constexpr double end_seconds = 3600;  // the longest [cleanup] deadline

struct job_options {
    std::string id;
    std::string user;
    std::vector<std::string> credentials;
    std::vector<std::string> cgroups;
    double timeout = 0;
};

std::chrono::milliseconds limit_of(double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)) + slack;
}

template <class T>
std::optional<T> given(T const& value) {
    return value.empty() ? std::nullopt : std::optional(value);
}

exit_code begin(session const& s, job_options const& o) {
    api::begin_request const wanted{o.id, o.user, given(o.credentials), given(o.cgroups),
                                    o.timeout > 0 ? std::optional(o.timeout) : std::nullopt};
    auto const text =
        ask(s, {"POST", "/v1/jobs", api::encode(wanted), limit_of(o.timeout > 0 ? o.timeout : begin_seconds)},
            "begin of job " + o.id);
    if (!text) return complain(s, text.error());
    auto const begun = api::decode<api::begin_reply>(*text);
    if (!begun) return complain(s, {errc::bad_reply, 0, begun.error().what});
    print(s.json ? *text
                 : fmt::format("job {} has {} (generation {})\n", begun->id, begun->directory, begun->generation));
    return exit_code::done;
}

exit_code end(session const& s, job_options const& o) {
    api::end_request const wanted{given(o.cgroups), o.timeout > 0 ? std::optional(o.timeout) : std::nullopt};
    auto const text = ask(s,
                          {"POST", fmt::format("/v1/jobs/{}/end", encode_segment(o.id)), api::encode(wanted),
                           limit_of(o.timeout > 0 ? o.timeout : end_seconds)},
                          "end of job " + o.id);
    if (!text) return complain(s, text.error());
    auto const ended = api::decode<api::end_reply>(*text);
    if (!ended) return complain(s, {errc::bad_reply, 0, ended.error().what});
    if (!ended->known)
        fmt::print(stderr, "{} no job {} holds this node: nothing was done\n", code_text(errc::job_unknown), o.id);
    if (s.json) print(*text);
    else if (ended->known)
        print(fmt::format("job {} ended: record {}, {} checks passed, generation {}, {}\n", ended->id, ended->sequence,
                          ended->checks.size(), ended->generation, seconds_text(ended->duration_seconds)));
    return exit_code::done;
}

exit_code list(session const& s) {
    auto const text = ask(s, {"GET", "/v1/jobs", ""});
    if (!text) return complain(s, text.error());
    auto const jobs = api::decode<api::job_list>(*text);
    if (!jobs) return complain(s, {errc::bad_reply, 0, jobs.error().what});
    if (s.json) {
        print(*text);
        return exit_code::done;
    }
    std::vector<std::vector<std::string>> rows;
    for (auto const& j : jobs->jobs) rows.push_back({j.id, j.user, j.since, j.directory});
    print(table({{"JOB"}, {"USER"}, {"SINCE"}, {"DIRECTORY"}}, rows));
    return exit_code::done;
}

exit_code env(session const& s, std::string const& id) {
    auto const text = ask(s, {"GET", fmt::format("/v1/jobs/{}/env", encode_segment(id)), ""});
    if (!text) return complain(s, text.error());
    auto const found = api::decode<api::env_reply>(*text);
    if (!found) return complain(s, {errc::bad_reply, 0, found.error().what});
    if (s.json) print(*text);
    else
        for (auto const& [name, value] : found->env) print(fmt::format("{}={}\n", name, value));
    return exit_code::done;
}

}  // namespace

void add_job(CLI::App& app, session const& s, action& run) {
    auto* const job = app.add_subcommand("job", "begin, end and list jobs");
    job->require_subcommand(1);
    auto const o = std::make_shared<job_options>();

    auto* const b = job->add_subcommand("begin", "returns when scratch is ready for the job");
    b->add_option("id", o->id, "the job's id")->required();
    b->add_option("--user", o->user, "name or number of the job's user")->required();
    b->add_option("--credential", o->credentials, "a credential for the job; may be given again");
    b->add_option("--cgroup", o->cgroups, "a control group of the job, killed at its end; may be given again");
    b->add_option("--timeout", o->timeout, "seconds to wait for a wipe that is under way")->check(CLI::PositiveNumber);
    b->callback([&, o] { run = [&s, o] { return begin(s, *o); }; });

    auto* const e = job->add_subcommand("end", "returns when scratch is wiped, proven and ready again");
    e->add_option("id", o->id, "the job's id")->required();
    e->add_option("--cgroup", o->cgroups, "a control group of the job, if begin was not told");
    e->add_option("--timeout", o->timeout, "seconds the wipe may take")->check(CLI::PositiveNumber);
    e->callback([&, o] { run = [&s, o] { return end(s, *o); }; });

    job->add_subcommand("list", "the jobs that hold this node")->callback([&] { run = [&s] { return list(s); }; });

    auto* const v = job->add_subcommand("env", "the paths a job gets, as KEY=VALUE lines");
    v->add_option("id", o->id, "the job's id")->required();
    v->callback([&, o] { run = [&s, o] { return env(s, o->id); }; });
}

}  // namespace scratchd::ctl
