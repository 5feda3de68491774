// Opens a job's sockets and the socket of systemd units, with a line in the log for every request: who asked for what.
#pragma once

#include "agent/base/handle.hpp"
#include "agent/broker/grants.hpp"
#include "agent/broker/load_credential.hpp"
#include "agent/ipc/loop.hpp"

namespace scratchd::broker {

serve_job make_job_servers(ipc::loop& on);

unit_service make_unit_service(grants& from, std::chrono::milliseconds budget);

}  // namespace scratchd::broker
