// From what the node knows to what the API shows.
#pragma once

#include "agent/api/types.hpp"
#include "agent/config/broker_config.hpp"
#include "agent/job/node.hpp"

namespace scratchd {

api::status status_view(snapshot const& s, bool hbi, std::filesystem::path const& mount);
api::end_reply end_view(std::string const& id, end_outcome const& outcome);
api::wipe_reply wipe_view(end_outcome const& outcome);
api::report_line report_view(record const& r);
// The only environment a job ever gets from scratchd: paths.
api::environment job_environment(std::filesystem::path const& directory, std::vector<credential_config> const& granted,
                                 std::filesystem::path const& folder);

}  // namespace scratchd
