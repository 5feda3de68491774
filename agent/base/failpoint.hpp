// Named places where a test can make the process die, fail or stand still.
//
// In a release build the macro is `ok` and no name is left in the program; a test looks for them. A failpoint is armed
// by `scratchd --failpoint NAME=kill | NAME=fail:ERRNO | NAME=stall`, never by the environment. `stall` stops the
// process (SIGSTOP): whoever watches sees the event and decides.
#pragma once

#include "agent/base/error.hpp"

#include <string_view>

#ifdef SCRATCHD_FAILPOINTS

namespace scratchd::failpoint {

// "journal.wiping.before=kill". The name need not exist yet: steps have theirs made of their own name.
result<> arm(std::string_view setting);
// Does what is armed for this name, once.
result<> reach(std::string_view name);

}  // namespace scratchd::failpoint

#define SCRATCHD_FAILPOINT(...) ::scratchd::failpoint::reach(__VA_ARGS__)

#else

#define SCRATCHD_FAILPOINT(...) ::scratchd::result<>()

#endif
