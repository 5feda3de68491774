// The answer of a docker credential helper, written into locked memory.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <string_view>

namespace scratchd::broker {

// {"ServerURL":...,"Username":...,"Secret":...} (docker-credential-helpers, credentials.go), with one trailing end of
// line taken off the password: files have one, passwords do not. credential_format: a text is not UTF-8, so JSON
// cannot carry it.
result<secret> docker_login(std::string_view server, std::string_view username, secret const& password);

}  // namespace scratchd::broker
