// A job's user as the system's directory knows it. May block: a directory service may be far away.
#pragma once

#include "agent/base/error.hpp"

#include <sys/types.h>
#include <string>
#include <vector>

namespace scratchd {

struct account {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
};

// By name or number; user_unknown.
result<account> find_user(std::string const& user);

// Names of all groups of a user; what has no name has none here.
std::vector<std::string> groups_of(std::string const& user, gid_t primary);

}  // namespace scratchd
