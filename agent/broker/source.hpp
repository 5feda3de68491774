// What one job was granted, as it is at this moment: the seam between the sockets of a job and the grants behind them.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"
#include "agent/config/broker_config.hpp"

#include <memory>
#include <string>
#include <vector>

namespace scratchd::broker {

using shared_secret = std::shared_ptr<secret const>;

class job_source {
public:
    virtual ~job_source() = default;

    [[nodiscard]] virtual std::string const& job() const = 0;
    // In the order they were asked for.
    [[nodiscard]] virtual std::vector<credential_config> granted() const = 0;
    // The newest value, for as long as the pointer is held. credential_unknown: not granted to this job;
    // credential_gone: granted, but withdrawn since: disabled, deleted or too old.
    [[nodiscard]] virtual result<shared_secret> value(std::string const& name) const = 0;
};

}  // namespace scratchd::broker
