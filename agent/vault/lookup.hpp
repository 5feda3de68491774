// From a name to addresses, within a deadline.
//
// getaddrinfo(3) cannot be interrupted, and Asio's resolver waits for it even when it is cancelled. Here it runs on a
// thread of its own that is left behind when the time is up: it touches nothing but what it shares. At most eight are
// under way; one more is an error.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"
#include "agent/ipc/task.hpp"

#include <functional>
#include <string>
#include <vector>

namespace scratchd::vault {

// Numeric addresses, in the resolver's order (RFC 6724).
using resolver = std::function<result<std::vector<std::string>>(std::string const& host)>;

// The system's: nsswitch.conf, /etc/hosts, DNS. It blocks.
result<std::vector<std::string>> system_resolver(std::string const& host);

// Errors: vault_unreachable, timed_out.
task<result<std::vector<std::string>>> look_up(std::string host, resolver by, deadline until);

}  // namespace scratchd::vault
