// A container registry's login without a stored password: the identity's token is exchanged for the registry's own.
// Source: "Azure Container Registry: authentication with a service principal" and cloud-provider-azure, whose code
// sends the token to whatever host the challenge names; here that host must be the registry.
#pragma once

#include "agent/vault/ask.hpp"
#include "agent/vault/cloud.hpp"
#include "agent/vault/provider.hpp"
#include "agent/vault/token_desk.hpp"

#include <string>

namespace scratchd::vault {

// The password for the user 00000000-0000-0000-0000-000000000000. Errors: those of provider::registry_login.
task<result<fetched>> log_in_at_registry(asking how, cloud const& names, token_desk& desk, std::string registry,
                                         std::string identity, deadline until);

}  // namespace scratchd::vault
