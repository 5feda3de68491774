// scratchd-broker: credentials from a key vault for jobs. Arguments in, exit code out.
#include "agent/base/log.hpp"
#include "agent/base/version.hpp"
#include "agent/broker/app.hpp"
#include "agent/config/parse.hpp"

#include <CLI/CLI.hpp>
#include <exception>

int main(int argc, char** argv) {
    using namespace scratchd;
    CLI::App app("Fetches credentials from a key vault and gives them to jobs for as long as they run");
    broker::app_options options{default_config_file, false};
    bool verbose = false;
    auto* const file = app.add_option("--config", options.config_file, "configuration file")->capture_default_str();
    app.add_option("--runtime", options.runtime, "folder of the sockets")->capture_default_str();
    app.add_flag("--verbose", verbose, "log debug lines too");
    app.set_version_flag("--version", std::string(version));
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        return app.exit(e) == 0 ? 0 : static_cast<int>(exit_code::usage);
    }
    options.config_given = file->count() > 0;
    log::start(verbose ? log::level::debug : log::level::info);
    try {
        return static_cast<int>(broker::run_broker(options));
    } catch (std::exception const& e) {
        log::error("broker.exception", {{"what", e.what()}});
        return static_cast<int>(exit_code::failed);
    }
}
