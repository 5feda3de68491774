// Removes a folder that a user could write into, without ever leaving it.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"

#include <cstddef>
#include <string>

namespace scratchd {

// Removes `name` and all below it from the folder `parent_fd`. Every step is relative to a descriptor and goes through
// openat2(2) with RESOLVE_BENEATH, NO_SYMLINKS, NO_XDEV and NO_MAGICLINKS: a link or a mount in the tree is removed or
// refused, never followed. Returns how many entries went. A name that is not there is 0.
result<std::size_t> remove_tree(int parent_fd, std::string const& name, deadline until);

}  // namespace scratchd
