#include "agent/config/delivery.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

namespace scratchd {

result<std::vector<credential_config>> find_credentials(config const& from, std::vector<std::string> const& names) {
    std::vector<credential_config> found;
    for (auto const& name : names) {
        auto const at = std::ranges::find(from.credentials, name, &credential_config::name);
        if (at == from.credentials.end())
            return fail(errc::credential_unknown, fmt::format("no [[credential]] is named \"{}\"", name.substr(0, 64)));
        if (std::ranges::find(found, name, &credential_config::name) == found.end()) found.push_back(*at);
    }
    return found;
}

std::vector<delivered_file> files_of(std::vector<credential_config> const& granted) {
    using enum delivered_file::form;
    std::vector<delivered_file> files;
    for (auto const& c : granted) {
        if (c.kind != "storage" && c.kind != "secret") continue;
        files.push_back({c.name, c.name, value});
        for (auto const& program : c.write)
            files.push_back(program == "rclone" ? delivered_file{c.name + ".rclone.conf", c.name, rclone}
                                                : delivered_file{c.name + ".blobfuse2.yaml", c.name, blobfuse2});
    }
    return files;
}

std::optional<std::string> docker_config_of(std::vector<credential_config> const& granted) {
    std::vector<std::string> helpers;
    for (auto const& c : granted)
        if (c.kind == "registry") helpers.push_back(fmt::format("\"{}\": \"scratchd\"", c.registry));
    if (helpers.empty()) return std::nullopt;
    return fmt::format("{{\n  \"credHelpers\": {{\n    {}\n  }}\n}}\n", fmt::join(helpers, ",\n    "));
}

bool needs_agent(std::vector<credential_config> const& granted) {
    return std::ranges::find(granted, "ssh", &credential_config::kind) != granted.end();
}

bool may_have(credential_config const& credential, std::string const& user, std::vector<std::string> const& groups) {
    if (credential.users.empty() && credential.groups.empty()) return credential.units.empty();
    auto const named = [](std::vector<std::string> const& list, std::string const& name) {
        return std::ranges::find(list, name) != list.end();
    };
    return named(credential.users, user) ||
           std::ranges::any_of(groups, [&](auto const& g) { return named(credential.groups, g); });
}

}  // namespace scratchd
