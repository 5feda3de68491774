// The control API: which request does what. docs/api/openapi.json describes it; a test holds the two together.
#pragma once

#include "agent/api/types.hpp"
#include "agent/daemon/broker_link.hpp"
#include "agent/daemon/service.hpp"
#include "agent/daemon/worker.hpp"
#include "agent/ipc/loop.hpp"
#include "agent/ipc/message.hpp"
#include "agent/ipc/router.hpp"

#include <memory>
#include <span>

namespace scratchd {

std::span<ipc::route const> control_routes();

class control_api {
public:
    control_api(ipc::loop& on, worker& disk, service& inside, broker_link& credentials)
        : loop_(on), worker_(disk), service_(inside), credentials_(credentials) {}

    // Runs on the loop's thread.
    void answer(ipc::request asked, ipc::reply reply);
    void publish(api::status now) { now_ = std::move(now); }
    [[nodiscard]] api::status const& now() const { return now_; }

private:
    friend struct route_table;
    ipc::loop& loop_;
    worker& worker_;
    service& service_;
    broker_link& credentials_;
    api::status now_;
};

}  // namespace scratchd
