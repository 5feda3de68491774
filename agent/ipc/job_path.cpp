#include "agent/ipc/job_path.hpp"

#include <unistd.h>
#include <cerrno>
#include <string_view>

namespace scratchd::ipc {
namespace {

constexpr std::string_view socket_name = "/credential.sock";

std::string_view without_slashes(std::string_view path) {
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    return path;
}

}  // namespace

std::string job_socket(job_id const& job, std::string const& folder) {
    return folder + "/" + job.text() + std::string(socket_name);
}

result<std::string> find_job_socket(job_environment const& from, std::string const& folder) {
    if (from.docker_config != nullptr && *from.docker_config == '/') {
        auto const docker = without_slashes(from.docker_config);
        auto const beside = std::string(docker.substr(0, docker.rfind('/'))) + std::string(socket_name);
        // Somebody else's socket is named too: the answer is then that it may not be opened.
        if (::access(beside.c_str(), F_OK) == 0 || errno == EACCES) return beside;
    }
    if (from.job_dir == nullptr || *from.job_dir != '/')
        return fail(errc::job_unknown, "neither DOCKER_CONFIG nor SCRATCHD_JOB_DIR names a job of scratchd");
    auto const directory = without_slashes(from.job_dir);
    SCRATCHD_TRY(auto const job, job_id::parse(directory.substr(directory.rfind('/') + 1)));
    return job_socket(job, folder);
}

}  // namespace scratchd::ipc
