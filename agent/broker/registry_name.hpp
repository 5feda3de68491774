// Which registry a docker client means.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace scratchd::broker {

// The one form of a registry's name that is compared: host or host:port in lower case, as docker names it; all names
// of Docker Hub ("https://index.docker.io/v1/" among them) are "docker.io". The port is part of the name: host and
// host:443 are two. Nothing: this is no registry's name. Nothing else is ever made of a caller's text.
std::optional<std::string> registry_key(std::string_view name);

}  // namespace scratchd::broker
