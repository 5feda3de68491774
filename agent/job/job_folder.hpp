// A job's own folder on scratch.
#pragma once

#include "agent/base/error.hpp"

#include <sys/types.h>
#include <string>

namespace scratchd {

// Makes `name` below the scratch root, mode 0700, owned by the user. One that is there already must be just that:
// a folder of this user.
result<> make_job_folder(int root_fd, std::string const& name, uid_t uid, gid_t gid);

}  // namespace scratchd
