#include "agent/api/catalog.hpp"
#include "agent/api/codec.hpp"
#include "agent/base/json.hpp"
#include "agent/ctl/commands.hpp"
#include "agent/ctl/table.hpp"
#include "agent/job/record_verify.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>
#include <cerrno>
#include <CLI/CLI.hpp>
#include <memory>

namespace scratchd::ctl {
namespace {

struct report_options {
    std::uint64_t sequence = 0;
    std::filesystem::path folder = "/var/lib/scratchd/records";
    std::filesystem::path key;
};

exit_code list(session const& s) {
    auto const text = ask(s, {"GET", "/v1/reports", ""});
    if (!text) return complain(s, text.error());
    auto const reports = api::decode<api::report_list>(*text);
    if (!reports) return complain(s, {errc::bad_reply, 0, reports.error().what});
    if (s.json) {
        print(*text);
        return exit_code::done;
    }
    std::vector<std::vector<std::string>> rows;
    for (auto const& r : reports->reports)
        rows.push_back({std::to_string(r.sequence), r.time, r.kind, r.job, r.outcome, r.method, r.level,
                        seconds_text(r.duration_seconds)});
    print(table(
        {{"SEQ", true}, {"TIME"}, {"KIND"}, {"JOB"}, {"OUTCOME", false, true}, {"METHOD"}, {"LEVEL"}, {"TOOK", true}},
        rows));
    return exit_code::done;
}

exit_code show(session const& s, std::uint64_t sequence) {
    auto const text = ask(s, {"GET", fmt::format("/v1/reports/{}", sequence), ""});
    if (!text) return complain(s, text.error());
    if (s.json) {
        print(*text);  // as stored: the signature covers these bytes
        return exit_code::done;
    }
    auto const value = json::parse(text->substr(0, text->find('\n')), {4U << 20U, 16});
    if (!value) return complain(s, {errc::record_unreadable, 0, value.error().what});
    print(json::pretty(*value) + "\n");
    return exit_code::done;
}

exit_code verify(session const& s, report_options const& o) {
    auto const judged = verify_records(o.folder, o.key.empty() ? std::nullopt : std::optional(o.key));
    if (!judged) {
        bool const denied = judged.error().sys == EACCES || judged.error().sys == EPERM;
        return complain(
            s, {denied ? errc::not_permitted : errc::record_unreadable, judged.error().sys, judged.error().what});
    }
    bool const intact = judged->problems.empty();
    if (s.json) {
        boost::json::array problems;
        for (auto const& p : judged->problems)
            problems.push_back({{"code", code_text(p.code)}, {"file", p.file}, {"what", p.what}});
        print(json::pretty({{"intact", intact},
                            {"records", judged->records},
                            {"newest", judged->newest},
                            {"node", judged->node},
                            {"problems", problems}}) +
              "\n");
    } else if (intact) {
        print(fmt::format("{} records of node {}: intact\n", judged->records, judged->node.substr(0, 16)));
    }
    for (auto const& p : judged->problems) fmt::print(stderr, "{} {} {}\n", code_text(p.code), p.file, p.what);
    if (intact) return exit_code::done;
    fmt::print(stderr, "{} problem(s) in {} records\n  next: {}\n", judged->problems.size(), judged->records,
               explain(errc::record_changed).next);
    return exit_code::evidence_broken;
}

}  // namespace

void add_report(CLI::App& app, session const& s, action& run) {
    auto* const report = app.add_subcommand("report", "the signed records of every wipe");
    report->require_subcommand(1);
    auto const o = std::make_shared<report_options>();
    report->add_subcommand("list", "the newest records, a line each")->callback([&] {
        run = [&s] { return list(s); };
    });
    auto* const one = report->add_subcommand("show", "one record, whole");
    one->add_option("sequence", o->sequence, "its number")->required();
    one->callback([&, o] { run = [&s, o] { return show(s, o->sequence); }; });
    auto* const v =
        report->add_subcommand("verify", "finds changed, missing, moved and forged records; needs no daemon");
    v->add_option("folder", o->folder, "where the records are")->capture_default_str();
    v->add_option("--key", o->key, "the node's public key, kept elsewhere; default: node.pub in the folder");
    v->callback([&, o] { run = [&s, o] { return verify(s, *o); }; });
}

}  // namespace scratchd::ctl
