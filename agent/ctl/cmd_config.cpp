#include "agent/base/json.hpp"
#include "agent/config/parse.hpp"
#include "agent/ctl/commands.hpp"
#include "agent/ctl/table.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>
#include <CLI/CLI.hpp>
#include <memory>

namespace scratchd::ctl {
namespace {

exit_code check(session const& s, std::string const& file) {
    auto const loaded = load_config(file);
    if (!loaded) return complain(s, loaded.error());
    print(s.json ? json::pretty({{"valid", true}, {"file", file}}) + "\n" : file + ": valid\n");
    return exit_code::done;
}

exit_code show_all(session const& s, std::string const& file, bool with_origin) {
    auto loaded = load_config(file);
    if (!loaded && loaded.error().code == errc::config_missing) loaded = config{};
    if (!loaded) return complain(s, loaded.error());
    boost::json::object values;
    std::vector<std::vector<std::string>> rows;
    for (auto const& one : show(*loaded)) {
        rows.push_back({one.key, "= " + one.value, with_origin ? "# " + one.where.text() : ""});
        values[one.key] = {{"value", one.value}, {"origin", one.where.text()}};
    }
    print(s.json ? json::pretty(values) + "\n" : table({{"key"}, {"value"}, {"origin"}}, rows, false));
    return exit_code::done;
}

}  // namespace

void add_config(CLI::App& app, session const& s, action& run) {
    auto* const group = app.add_subcommand("config", "checks and shows the configuration");
    group->require_subcommand(1);
    auto const file = std::make_shared<std::string>(default_config_file);
    auto const with_origin = std::make_shared<bool>(false);
    auto* const c = group->add_subcommand("check", "whether the daemon would take it; touches nothing");
    c->add_option("file", *file, "the file; its drop-ins are read too")->capture_default_str();
    c->callback([&, file] { run = [&s, file] { return check(s, *file); }; });
    auto* const v = group->add_subcommand("show", "every value, defaults too");
    v->add_option("file", *file, "the file; its drop-ins are read too")->capture_default_str();
    v->add_flag("--origin", *with_origin, "where each value comes from");
    v->callback([&, file, with_origin] { run = [&s, file, with_origin] { return show_all(s, *file, *with_origin); }; });
}

}  // namespace scratchd::ctl
