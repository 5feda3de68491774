// Unix sockets by path: listening ones that are complete before they can be reached, and connections to them.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"

#include <sys/socket.h>
#include <sys/types.h>
#include <filesystem>
#include <string>

namespace scratchd::ipc {

struct listen_options {
    mode_t mode = 0600;
    uid_t owner = static_cast<uid_t>(-1);  // -1: the caller
    gid_t group = static_cast<gid_t>(-1);
    int type = SOCK_STREAM;  // or SOCK_SEQPACKET
};

// Makes the socket under another name, gives it away, listens, renames: what a daemon that died left there is replaced
// at once, and nobody reaches it half made.
result<unique_fd> listen_at(std::filesystem::path const& path, listen_options const& how);

// daemon_unreachable when nobody listens there, not_permitted when it may not be opened.
result<unique_fd> connect_to(std::filesystem::path const& path, int type);

// The number of a group, or -1 when there is none of that name.
gid_t group_id(std::string const& name);

}  // namespace scratchd::ipc
