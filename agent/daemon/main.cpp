// scratchd: the root daemon. Arguments in, exit code out.
#include "agent/base/failpoint.hpp"
#include "agent/base/log.hpp"
#include "agent/base/version.hpp"
#include "agent/config/parse.hpp"
#include "agent/daemon/app.hpp"

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

int main(int argc, char** argv) {
    using namespace scratchd;
    CLI::App app("Makes a node's scratch disk safe to hand from one job to the next");
    app_options options{default_config_file, false, {}, {}};
    bool verbose = false;
    auto* const file = app.add_option("--config", options.config_file, "configuration file")->capture_default_str();
    app.add_option("--state", options.paths.state, "state folder")->capture_default_str();
    app.add_option("--runtime", options.paths.runtime, "folder of the sockets")->capture_default_str();
    app.add_option("--broker", options.broker.path, "socket of scratchd-broker")->capture_default_str();
    app.add_flag("--verbose", verbose, "log debug lines too");
    app.set_version_flag("--version", std::string(version));
#ifdef SCRATCHD_FAILPOINTS
    std::vector<std::string> failpoints;
    app.add_option("--failpoint", failpoints, "for tests: NAME=kill|fail:ERRNO|stall");
#endif
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
    }
    options.config_given = file->count() > 0;
    log::start(verbose ? log::level::debug : log::level::info);
#ifdef SCRATCHD_FAILPOINTS
    for (auto const& f : failpoints)
        if (!failpoint::arm(f)) return static_cast<int>(exit_code::usage);
#endif
    try {
        return static_cast<int>(run_daemon(options));
    } catch (std::exception const& e) {
        // Only a bug or the end of memory comes here: die, so that the next start recovers from what the kernel has.
        log::error("daemon.exception", {{"what", e.what()}});
        return static_cast<int>(exit_code::failed);
    }
}
