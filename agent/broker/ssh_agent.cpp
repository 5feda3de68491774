#include "agent/broker/ssh_agent.hpp"

namespace scratchd::broker {
namespace {

class session final : public ipc::frame_session {
public:
    session(key_ring& keys, ipc::peer who, ssh_audit audit)
        : connection_(keys, [who = std::move(who), audit = std::move(audit)](agent_event const& event) {
              if (audit) audit(who, event);
          }) {}

    result<bytes_view> answer(bytes_view frame) override {
        SCRATCHD_TRY(answer_, connection_.answer(frame));
        return std::as_bytes(std::span(answer_));
    }

private:
    std::string answer_;
    agent_connection connection_;
};

}  // namespace

std::function<std::unique_ptr<ipc::frame_session>(ipc::peer const&)> ssh_agent_sessions(key_ring& keys,
                                                                                        ssh_audit audit) {
    return
        [&keys, audit = std::move(audit)](ipc::peer const& who) { return std::make_unique<session>(keys, who, audit); };
}

}  // namespace scratchd::broker
