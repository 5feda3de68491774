// scratchctl: the command line of scratchd.
#include "agent/base/version.hpp"
#include "agent/ctl/commands.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <exception>

int main(int argc, char** argv) {
    using namespace scratchd;
    CLI::App app("Talks to scratchd, which makes a node's scratch disk safe to hand from one job to the next");
    ctl::session s;
    ctl::action run;
    app.require_subcommand(1);
    app.fallthrough();
    app.add_flag("--json", s.json, "print JSON");
    app.add_option("--socket", s.socket, "the daemon's control socket")->capture_default_str();
    app.add_option("--status-file", s.status_file, "what to read when the socket may not be opened")
        ->capture_default_str();
    app.set_version_flag("--version", std::string(version));
    ctl::add_status(app, s, run);
    ctl::add_disks(app, s, run);
    ctl::add_job(app, s, run);
    ctl::add_wipe(app, s, run);
    ctl::add_report(app, s, run);
    ctl::add_config(app, s, run);
    ctl::add_credential(app, s, run);
    ctl::add_metrics(app, s, run);
    app.add_subcommand("version", "the version")->callback([&] {
        run = [&s] {
            ctl::print(s.json ? fmt::format("{{\n  \"version\": \"{}\"\n}}\n", version) : fmt::format("{}\n", version));
            return exit_code::done;
        };
    });
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
    }
    try {
        return static_cast<int>(run());
    } catch (std::exception const& e) {
        fmt::print(stderr, "scratchctl: {}\n", e.what());
        return static_cast<int>(exit_code::failed);
    }
}
