// Builds the broker out of its parts and runs it: the only place that knows them all.
#pragma once

#include "agent/api/exit_code.hpp"

#include <filesystem>

namespace scratchd::broker {

struct app_options {
    std::filesystem::path config_file;
    bool config_given = false;  // on the command line: then it must exist
    std::filesystem::path runtime = "/run/scratchd-broker";
};

exit_code run_broker(app_options const& options);

}  // namespace scratchd::broker
