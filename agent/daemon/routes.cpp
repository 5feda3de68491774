#include "agent/daemon/routes.hpp"

#include "agent/api/codec.hpp"
#include "agent/config/delivery.hpp"
#include "agent/daemon/job_account.hpp"
#include "agent/daemon/metrics.hpp"
#include "agent/daemon/views.hpp"
#include "cleanup/cgroup.hpp"

#include <fmt/format.h>
#include <array>
#include <atomic>
#include <charconv>

namespace scratchd {

using ipc::reply;
using ipc::request;
using ipc::response;

namespace {

constexpr std::chrono::milliseconds longest_wait = std::chrono::hours(1);

response problem(error const& e) {
    auto const p = api::make_problem(e);
    return {p.status, "application/problem+json", api::encode(p)};
}

template <class T>
response answer_with(result<T> const& outcome) {
    return outcome ? response{200, "application/json", api::encode(*outcome)} : problem(outcome.error());
}

initiator initiator_of(request const& asked) {
    return {asked.from.uid, asked.from.pid, asked.from.program};
}

result<std::vector<std::string>> cgroups_of(request const& asked,
                                            std::optional<std::vector<std::string>> const& names) {
    std::vector<std::string> folders;
    if (!names || names->empty()) return folders;
    // A control group named here is killed when the job ends: that is root's to say.
    if (asked.from.uid != 0) return fail(errc::not_permitted, "only root may name a job's control groups");
    for (auto const& name : *names) {
        SCRATCHD_TRY(auto const folder, check_cgroup(name));
        folders.push_back(folder.string());
    }
    return folders;
}

result<std::chrono::milliseconds> span_of(std::optional<double> const& seconds, std::chrono::milliseconds otherwise) {
    if (!seconds) return otherwise;
    if (!(*seconds > 0) || *seconds > 3600)
        return fail(errc::bad_request, "\"timeout_seconds\" is not between 0 and 3600");
    return std::chrono::milliseconds(static_cast<std::int64_t>(*seconds * 1000));
}

}  // namespace

struct route_table {
    using parameters = std::vector<std::string> const&;
    using function = void (*)(control_api&, request&&, parameters, reply);
    struct row {
        ipc::route where;
        function run;
    };

    // Runs `work` on the disk thread and answers with what it returns. When the thread is not free within `limit`,
    // the work is given up before it began, and the caller is told to come again.
    template <class F>
    static void offload(control_api& api, std::chrono::milliseconds limit, reply back, F work) {
        auto const claimed = std::make_shared<std::atomic<bool>>(false);
        api.worker_.post([claimed, back, work = std::move(work)]() mutable {
            if (!claimed->exchange(true)) back(answer_with(work()));
        });
        if (limit >= longest_wait) return;
        api.loop_.after(limit, [claimed, back] {
            if (!claimed->exchange(true))
                back(problem({errc::node_not_ready, 0, "the node was busy for as long as you would wait"}));
        });
    }

    static result<api::env_reply> environment_of(control_api& api, std::string const& job, std::string const& directory,
                                                 std::vector<std::string> const& credentials) {
        SCRATCHD_TRY(auto const granted, find_credentials(api.service_.settings(), credentials));
        return api::env_reply{job_environment(directory, granted, api.credentials_.folder_of(job))};
    }

    static void status(control_api& api, request&&, parameters, reply back) {
        back({200, "application/json", api::encode(api.now_)});
    }

    static void metrics(control_api& api, request&&, parameters, reply back) {
        back({200, "text/plain; version=0.0.4", metrics_text(api.now_)});
    }

    static void disks(control_api& api, request&&, parameters, reply back) {
        offload(api, longest_wait, std::move(back), [&s = api.service_] { return s.disks(); });
    }

    static void jobs(control_api& api, request&&, parameters, reply back) {
        back({200, "application/json", api::encode(api::job_list{api.now_.jobs})});
    }

    static void job_env(control_api& api, request&&, parameters given, reply back) {
        for (auto const& job : api.now_.jobs)
            if (job.id == given[0])
                return back(answer_with(environment_of(api, job.id, job.directory, job.credentials)));
        back(problem({errc::job_unknown, 0, "no job of that id holds this node"}));
    }

    static void begin(control_api& api, request&& asked, parameters, reply back) {
        std::chrono::milliseconds limit{};
        auto spec = [&]() -> result<begin_spec> {
            SCRATCHD_TRY(auto wanted, api::decode<api::begin_request>(asked.body));
            SCRATCHD_TRY(auto id, job_id::parse(wanted.id));
            SCRATCHD_TRY(auto groups, cgroups_of(asked, wanted.cgroups));
            SCRATCHD_TRY(limit, span_of(wanted.timeout_seconds, std::chrono::seconds(60)));
            return begin_spec{std::move(id),
                              std::move(wanted.user),
                              0,
                              0,
                              std::move(groups),
                              wanted.credentials.value_or(std::vector<std::string>{}),
                              initiator_of(asked)};
        }();
        if (!spec) return back(problem(spec.error()));
        offload(api, limit, std::move(back),
                [&api, &s = api.service_, spec = *std::move(spec)]() mutable -> result<api::begin_reply> {
                    // Here and not on the event loop: a directory service may take its time.
                    SCRATCHD_TRY(auto user, find_user(spec.user));
                    spec.user = std::move(user.name), spec.uid = user.uid, spec.gid = user.gid;
                    SCRATCHD_TRY(auto const begun, s.begin(spec));
                    SCRATCHD_TRY(auto env,
                                 environment_of(api, begun.granted.job, begun.directory, begun.granted.credentials));
                    return api::begin_reply{begun.granted.job, begun.directory, begun.generation, std::move(env.env)};
                });
    }

    static void end(control_api& api, request&& asked, parameters given, reply back) {
        std::chrono::milliseconds limit{};
        auto spec = [&]() -> result<end_spec> {
            SCRATCHD_TRY(auto wanted, api::decode<api::end_request>(asked.body.empty() ? "{}" : asked.body));
            SCRATCHD_TRY(auto id, job_id::parse(given[0]));
            SCRATCHD_TRY(auto groups, cgroups_of(asked, wanted.cgroups));
            SCRATCHD_TRY(limit, span_of(wanted.timeout_seconds, longest_wait));
            end_spec made{std::move(id), std::move(groups), initiator_of(asked), std::nullopt};
            if (wanted.timeout_seconds) made.limit = limit;
            return made;
        }();
        if (!spec) return back(problem(spec.error()));
        offload(api, limit, std::move(back), [&s = api.service_, spec = *std::move(spec)]() -> result<api::end_reply> {
            SCRATCHD_TRY(auto const ended, s.end(spec));
            return end_view(spec.job.text(), ended);
        });
    }

    static void wipe(control_api& api, request&& asked, parameters, reply back) {
        auto wanted = api::decode<api::wipe_request>(asked.body.empty() ? "{}" : asked.body);
        if (!wanted) return back(problem(wanted.error()));
        if (wanted->method.value_or("crypto") != "crypto")
            return back(
                problem({errc::method_refused, 0, "with hbi on, a wipe is always \"crypto\": the key is destroyed"}));
        if (wanted->dry_run.value_or(false)) {
            auto const why = "the disk is encrypted: destroying its only key erases all of it at once";
            return back({200, "application/json", api::encode(api::wipe_reply{"crypto", why, true, 0, 0, 0, {}})});
        }
        offload(api, longest_wait, std::move(back),
                [&s = api.service_, who = initiator_of(asked)]() -> result<api::wipe_reply> {
                    SCRATCHD_TRY(auto const wiped, s.wipe(who));
                    return wipe_view(wiped);
                });
    }

    static void resync(control_api& api, request&&, parameters, reply back) {
        offload(api, longest_wait, std::move(back), [&c = api.credentials_]() -> result<api::resync_reply> {
            SCRATCHD_CHECK(c.resync());
            return api::resync_reply{true};
        });
    }

    static void reports(control_api& api, request&&, parameters, reply back) {
        offload(api, longest_wait, std::move(back), [&s = api.service_]() -> result<api::report_list> {
            constexpr std::uint64_t most = 1000;
            api::report_list list;
            auto const newest = s.records().head().sequence;
            for (auto n = newest > most ? newest - most + 1 : 1; n <= newest; ++n)
                if (auto const r = s.records().read(n)) list.reports.push_back(report_view(*r));
            return list;
        });
    }

    static void report(control_api& api, request&&, parameters given, reply back) {
        std::uint64_t number = 0;
        auto const [end, bad] = std::from_chars(given[0].data(), given[0].data() + given[0].size(), number);
        if (bad != std::errc{} || end != given[0].data() + given[0].size())
            return back(problem({errc::bad_request, 0, "a record's sequence is a number"}));
        api.worker_.post([&s = api.service_, number, back] {
            auto text = s.records().read_file_text(number);
            back(text ? response{200, "application/json", *std::move(text)} : problem(text.error()));
        });
    }

    static constexpr std::array<row, 11> rows{{
        {{"GET", "/v1/status"}, &status},
        {{"GET", "/v1/metrics"}, &metrics},
        {{"GET", "/v1/disks"}, &disks},
        {{"GET", "/v1/jobs"}, &jobs},
        {{"POST", "/v1/jobs"}, &begin},
        {{"GET", "/v1/jobs/{id}/env"}, &job_env},
        {{"POST", "/v1/jobs/{id}/end"}, &end},
        {{"POST", "/v1/wipe"}, &wipe},
        {{"POST", "/v1/credentials/resync"}, &resync},
        {{"GET", "/v1/reports"}, &reports},
        {{"GET", "/v1/reports/{sequence}"}, &report},
    }};
};

std::span<ipc::route const> control_routes() {
    static auto const routes = [] {
        std::array<ipc::route, route_table::rows.size()> all{};
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = route_table::rows[i].where;
        return all;
    }();
    return routes;
}

void control_api::answer(request asked, reply back) {
    auto routed = ipc::find_route(control_routes(), asked.method, asked.path);
    if (routed.found)
        return route_table::rows[routed.found->index].run(*this, std::move(asked), routed.found->parameters,
                                                          std::move(back));
    auto refused = problem(
        {errc::bad_request, 0, fmt::format("no route {} {}", asked.method.substr(0, 16), asked.path.substr(0, 128))});
    refused.status = routed.why == ipc::no_match::not_found            ? 404
                     : routed.why == ipc::no_match::method_not_allowed ? 405
                                                                       : 400;
    back(std::move(refused));
}

}  // namespace scratchd
