// The names that belong to one cloud: where it logs in, below which name its vaults and registries stand.
//
// What goes over the wire is compared with these, and a token's resource is taken from here only, never from an answer.
// Source: azure-sdk environments (go-autorest, environments.go).
#pragma once

#include "agent/base/error.hpp"
#include "agent/config/broker_config.hpp"

#include <string>

namespace scratchd::vault {

struct cloud {
    std::string login;              // "login.microsoftonline.com", with a port if it is not 443
    std::string vault_suffix;       // "vault.azure.net", the same
    std::string registry_suffix;    // "azurecr.io", the same
    std::string vault_resource;     // "https://vault.azure.net": no slash at the end, Key Vault compares (AKV10022)
    std::string registry_resource;  // "https://containerregistry.azure.net"
};

// The named cloud with what the configuration puts in its place. Errors: config_value.
result<cloud> choose_cloud(broker_config const& config);

}  // namespace scratchd::vault
