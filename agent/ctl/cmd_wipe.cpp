#include "agent/api/codec.hpp"
#include "agent/ctl/commands.hpp"
#include "agent/ctl/table.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

namespace scratchd::ctl {
namespace {

struct wipe_options {
    std::string method;
    bool dry_run = false;
    bool yes = false;
};

bool confirmed() {
    if (::isatty(STDIN_FILENO) == 0) return false;
    std::fputs("All data on scratch will be lost. Type yes: ", stderr);
    std::string answer;
    return std::getline(std::cin, answer) && answer == "yes";
}

exit_code wipe(session const& s, wipe_options const& o) {
    if (!o.dry_run && !o.yes && !confirmed())
        return complain(s, {errc::bad_request, 0, "a wipe needs --yes, or a terminal to confirm it"});
    api::wipe_request const wanted{o.method.empty() ? std::nullopt : std::optional(o.method), o.dry_run};
    auto const text = ask(s, {"POST", "/v1/wipe", api::encode(wanted), std::chrono::hours(1)}, "wipe");
    if (!text) return complain(s, text.error());
    auto const done = api::decode<api::wipe_reply>(*text);
    if (!done) return complain(s, {errc::bad_reply, 0, done.error().what});
    if (s.json) print(*text);
    else if (done->dry_run) print(fmt::format("would use {}: {}\n", done->method, done->why));
    else
        print(fmt::format("wiped by {}: record {}, generation {}, {}\n", done->method, done->sequence, done->generation,
                          seconds_text(done->duration_seconds)));
    return exit_code::done;
}

}  // namespace

void add_wipe(CLI::App& app, session const& s, action& run) {
    auto* const w = app.add_subcommand("wipe", "wipes scratch between jobs; also the way out of the state failed");
    auto const o = std::make_shared<wipe_options>();
    w->add_option("--method", o->method, "how: crypto");
    w->add_flag("--dry-run", o->dry_run, "tell what would be done");
    w->add_flag("--yes", o->yes, "do not ask");
    w->callback([&, o] { run = [&s, o] { return wipe(s, *o); }; });
}

}  // namespace scratchd::ctl
