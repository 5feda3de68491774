// Where a job's sockets are, for the programs that run inside of it.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/ids.hpp"

#include <string>

namespace scratchd::ipc {

inline constexpr char const* jobs_folder = "/run/scratchd/jobs";

// <folder>/<job>/credential.sock
std::string job_socket(job_id const& job, std::string const& folder = jobs_folder);

// What a job's environment says of itself; null: not set.
struct job_environment {
    char const* docker_config = nullptr;  // DOCKER_CONFIG: <folder>/<job>/docker
    char const* job_dir = nullptr;        // SCRATCHD_JOB_DIR: /mnt/scratch/<job>
};

// The socket beside the docker folder when one is there, else that of the job whose directory it is. job_unknown:
// this is no job's environment.
result<std::string> find_job_socket(job_environment const& from, std::string const& folder = jobs_folder);

}  // namespace scratchd::ipc
