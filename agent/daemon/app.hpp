// Builds the daemon out of its parts and runs it: the only place that knows them all.
#pragma once

#include "agent/api/exit_code.hpp"
#include "agent/daemon/broker_socket.hpp"
#include "agent/daemon/service.hpp"

#include <filesystem>
#include <string>

namespace scratchd {

struct app_options {
    std::filesystem::path config_file;
    bool config_given = false;  // on the command line: then it must exist
    service_paths paths;
    broker_socket::settings broker;
};

exit_code run_daemon(app_options const& options);

}  // namespace scratchd
