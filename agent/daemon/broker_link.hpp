// Credentials of jobs, by the broker: root makes the files and sockets of a job, the broker fills and serves them.
//
// The node calls from the disk thread and waits; everything else happens on the loop's thread. Fail closed: a job
// whose credentials cannot all be had does not begin, and what the broker does not renew in time is withdrawn: 0.3 of
// [broker] max_age after it was lost, plus `stale`.
#pragma once

#include "agent/config/config.hpp"
#include "agent/daemon/broker_socket.hpp"
#include "agent/job/credential_folder.hpp"
#include "agent/job/ports.hpp"

#include <map>
#include <set>

namespace scratchd {

struct link_paths {
    std::filesystem::path jobs = "/run/scratchd/jobs";
    broker_socket::settings broker;
};

class broker_link final : public credential_port {
public:
    broker_link(ipc::loop& on, config const& settings, link_paths paths);

    // From the disk thread.
    result<> grant(lease const& job) override;
    result<> revoke(std::string const& job) override;
    result<> restore(std::vector<lease> const& running) override;
    // Makes the broker fetch everything anew, with new tokens; says what could not be had.
    result<> resync();

    [[nodiscard]] std::filesystem::path folder_of(std::string const& job) const { return paths_.jobs / job; }

private:
    using outcome = std::function<void(result<>)>;

    struct held_job {
        lease holder;
        std::vector<std::string> groups;
        std::vector<credential_config> credentials;
        credential_folder folder;
        unique_fd requests;  // listens at credential.sock
        unique_fd agent;     // listens at ssh-agent.sock
        bool granted = false;
        bool asking = false;     // a grant is on its way
        std::uint64_t loss = 0;  // the last time that nobody renewed it
    };

    result<held_job> make_held(lease const& job) const;
    result<> wait(std::chrono::milliseconds limit, std::function<void(outcome)> start);
    result<> connect();
    void send_grant(std::string const& job, outcome done);
    void end_job(std::string const& job, outcome done);
    void asked(channel_packet packet);
    result<std::vector<unique_fd>> serve(api::channel_message const& question, api::channel_message& reply);
    void lost(error const& why);
    void reconnect();
    void reconnect_after(std::chrono::milliseconds span);
    void withdraw_later(std::string const& job);

    ipc::loop& loop_;
    config const& config_;
    link_paths paths_;
    broker_socket socket_;
    std::set<std::string> sources_;
    std::map<std::string, held_job> jobs_;
    bool reconnecting_ = false;
    std::uint64_t losses_ = 0;
};

}  // namespace scratchd
