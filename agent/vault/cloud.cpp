#include "agent/vault/cloud.hpp"

#include "agent/vault/url.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <string_view>

namespace scratchd::vault {
namespace {

struct row {
    std::string_view name;
    std::string_view login;
    std::string_view vault_suffix;
    std::string_view registry_suffix;
};

constexpr std::array rows = {
    row{"public", "login.microsoftonline.com", "vault.azure.net", "azurecr.io"},
    row{"china", "login.chinacloudapi.cn", "vault.azure.cn", "azurecr.cn"},
    row{"us-government", "login.microsoftonline.us", "vault.usgovcloudapi.net", "azurecr.us"},
};

result<std::string> pick(std::string_view configured, std::string_view usual, std::string_view key) {
    auto const parsed = parse_authority(configured.empty() ? usual : configured);
    if (!parsed || parsed->host.find('.') == std::string::npos)
        return fail(errc::config_value, fmt::format("[broker] {} is not the name of a host", key));
    return parsed->authority();
}

}  // namespace

result<cloud> choose_cloud(broker_config const& config) {
    auto const* const found = std::ranges::find(rows, std::string_view(config.cloud), &row::name);
    if (found == rows.end()) return fail(errc::config_value, "[broker] cloud is one of public, china, us-government");
    cloud out;
    SCRATCHD_TRY(out.login, pick(config.login_host, found->login, "login_host"));
    SCRATCHD_TRY(out.vault_suffix, pick(config.vault_suffix, found->vault_suffix, "vault_suffix"));
    SCRATCHD_TRY(out.registry_suffix, pick(config.registry_suffix, found->registry_suffix, "registry_suffix"));
    SCRATCHD_TRY(auto const vaults, parse_authority(out.vault_suffix));
    out.vault_resource = "https://" + vaults.host;
    out.registry_resource = "https://containerregistry.azure.net";
    return out;
}

}  // namespace scratchd::vault
