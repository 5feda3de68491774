#include "agent/api/codec.hpp"
#include "agent/base/file.hpp"
#include "agent/ctl/commands.hpp"
#include "agent/ctl/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

namespace scratchd::ctl {
namespace {

std::string volume_text(api::volume_view const& v) {
    return fmt::format("/dev/mapper/{}, {}, {}-bit key, {}, generation {}", v.mapping, v.cipher, v.key_bits,
                       size_text(v.size_bytes), v.generation);
}

exit_code show(session const& s, std::string const& text) {
    auto const now = api::decode<api::status>(text);
    if (!now) return complain(s, {errc::bad_reply, 0, now.error().what});
    if (s.json) {
        print(text);
        return exit_code::done;
    }
    std::vector<std::vector<std::string>> rows{{"state", now->state}};
    if (!now->reason.empty()) rows.push_back({"reason", now->reason});
    if (!now->step.empty()) rows.push_back({"step", now->step});
    rows.push_back({"hbi", now->hbi ? "on" : "off"});
    rows.push_back({"volume", now->volume ? volume_text(*now->volume) : "none"});
    if (now->volume) {
        rows.push_back({"disks", fmt::format("{}", fmt::join(now->volume->devices, ", "))});
        rows.push_back({"mount", now->volume->mount});
    }
    std::vector<std::string> jobs;
    for (auto const& job : now->jobs) jobs.push_back(fmt::format("{} ({})", job.id, job.user));
    rows.push_back({"jobs", jobs.empty() ? "none" : fmt::format("{}", fmt::join(jobs, ", "))});
    for (auto const& name : now->pending) rows.push_back({"closing", name});
    if (now->last_wipe)
        rows.push_back({"last wipe",
                        fmt::format("{}, {}, {}, {}, record {}", now->last_wipe->time, now->last_wipe->method,
                                    seconds_text(now->last_wipe->duration_seconds),
                                    now->last_wipe->verified ? "verified" : "NOT VERIFIED", now->last_wipe->sequence)});
    print(table({{"what", false, false}, {"value", false, true}}, rows, false));
    return exit_code::done;
}

}  // namespace

void add_status(CLI::App& app, session const& s, action& run) {
    app.add_subcommand("status", "state, hbi, volume, generation, jobs, last wipe")->callback([&] {
        run = [&s] {
            auto text = ask(s, {"GET", "/v1/status", ""});
            // Whoever may not open the socket reads what the daemon publishes for everybody.
            if (!text && text.error().code == errc::not_permitted) text = read_file(s.status_file);
            return text ? show(s, *text) : complain(s, text.error());
        };
    });
}

void add_disks(CLI::App& app, session const& s, action& run) {
    app.add_subcommand("disks", "every block device: chosen or not, and why")->callback([&] {
        run = [&s] {
            auto const text = ask(s, {"GET", "/v1/disks", ""});
            if (!text) return complain(s, text.error());
            auto const list = api::decode<api::disk_list>(*text);
            if (!list) return complain(s, {errc::bad_reply, 0, list.error().what});
            if (s.json) print(*text);
            else {
                std::vector<std::vector<std::string>> rows;
                for (auto const& d : list->disks)
                    rows.push_back(
                        {d.device, size_text(d.size_bytes), d.model, d.serial, d.chosen ? "yes" : "no", d.why});
                print(
                    table({{"DEVICE"}, {"SIZE", true}, {"MODEL"}, {"SERIAL"}, {"CHOSEN", false, true}, {"WHY"}}, rows));
            }
            return exit_code::done;
        };
    });
}

void add_metrics(CLI::App& app, session const& s, action& run) {
    app.add_subcommand("metrics", "the node's state as Prometheus text")->callback([&] {
        run = [&s] {
            auto const text = ask(s, {"GET", "/v1/metrics", ""});
            if (!text) return complain(s, text.error());
            print(*text);
            return exit_code::done;
        };
    });
}

}  // namespace scratchd::ctl
