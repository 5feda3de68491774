// The commands of scratchctl. Each adds itself to the command tree; what it does is bound to the session and run after
// parsing.
#pragma once

#include "agent/ctl/session.hpp"

#include <functional>

namespace CLI {
class App;
}

namespace scratchd::ctl {

using action = std::function<exit_code()>;

void add_status(CLI::App& app, session const& s, action& run);
void add_disks(CLI::App& app, session const& s, action& run);
void add_job(CLI::App& app, session const& s, action& run);
void add_wipe(CLI::App& app, session const& s, action& run);
void add_report(CLI::App& app, session const& s, action& run);
void add_config(CLI::App& app, session const& s, action& run);
void add_credential(CLI::App& app, session const& s, action& run);
void add_metrics(CLI::App& app, session const& s, action& run);

}  // namespace scratchd::ctl
