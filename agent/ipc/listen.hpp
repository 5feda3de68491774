// The listening socket of a daemon: from systemd, or made here.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"

#include <sys/types.h>
#include <filesystem>
#include <string>

namespace scratchd::ipc {

// Makes the socket at `path` with this mode and, if the group exists, this group. What a daemon that died left there
// is replaced. It is complete before it can be reached: made under another name, then renamed.
result<unique_fd> listen_at(std::filesystem::path const& path, mode_t mode, std::string const& group);

}  // namespace scratchd::ipc
