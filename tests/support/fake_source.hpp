// What a job was granted, as tests change it.
#pragma once

#include "agent/broker/source.hpp"

#include <algorithm>
#include <map>
#include <string>

struct fake_source final : scratchd::broker::job_source {
    std::string id = "17";
    std::vector<scratchd::credential_config> credentials;
    std::map<std::string, scratchd::broker::shared_secret> values;

    void add(scratchd::credential_config c, scratchd::secret value) {
        values[c.name] = std::make_shared<scratchd::secret const>(std::move(value));
        credentials.push_back(std::move(c));
    }

    std::string const& job() const override { return id; }
    std::vector<scratchd::credential_config> granted() const override { return credentials; }
    scratchd::result<scratchd::broker::shared_secret> value(std::string const& name) const override {
        if (std::ranges::find(credentials, name, &scratchd::credential_config::name) == credentials.end())
            return scratchd::fail(scratchd::errc::credential_unknown, "not granted");
        auto const found = values.find(name);
        if (found == values.end()) return scratchd::fail(scratchd::errc::credential_gone, name);
        return found->second;
    }
};
