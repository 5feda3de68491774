// How a credential reaches its job: pure, from the configuration alone. Both daemons must come to the same answer.
#pragma once

#include "agent/base/error.hpp"
#include "agent/config/config.hpp"

#include <optional>
#include <string>
#include <vector>

namespace scratchd {

// A file in the job's credentials folder. The broker writes it, root makes it.
struct delivered_file {
    enum class form : std::uint8_t { value, rclone, blobfuse2 };

    std::string name;        // "data", "data.rclone.conf", "data.blobfuse2.yaml"
    std::string credential;  // whose it is
    form what = form::value;
};

// The credentials that a job asks for, in its order; credential_unknown names one that is not configured.
result<std::vector<credential_config>> find_credentials(config const& from, std::vector<std::string> const& names);

std::vector<delivered_file> files_of(std::vector<credential_config> const& granted);

// Of registry credentials: what $DOCKER_CONFIG/config.json holds. Without any: nothing.
std::optional<std::string> docker_config_of(std::vector<credential_config> const& granted);

bool needs_agent(std::vector<credential_config> const& granted);

// Whether this user may have it: no users, groups and units named means every job that asks; units alone, no job.
bool may_have(credential_config const& credential, std::string const& user, std::vector<std::string> const& groups);

}  // namespace scratchd
