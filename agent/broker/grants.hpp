// All grants of this node: given whole or not at all, kept young while their jobs run, gone when they end.
#pragma once

#include "agent/broker/grant.hpp"
#include "agent/broker/root_link.hpp"

#include <functional>
#include <map>
#include <set>

namespace scratchd::broker {

// Opens a job's sockets to its processes. The grant outlives what is returned.
using serve_job = std::function<std::unique_ptr<job_service>(unique_fd requests, unique_fd agent, grant const& of)>;

class grants {
public:
    grants(config const& settings, store& values, vault::timing& time, root_link& root, serve_job serve)
        : config_(settings), store_(values), time_(time), root_(root), serve_(std::move(serve)) {}

    // All of its credentials are fetched, its files filled, its sockets served; or none, and the error of the first.
    task<result<>> give(grant_request request, deadline until);
    // Closes the job's sockets and forgets what no other job has. At once, also what is still on its way to the job.
    void revoke(std::string const& job);
    // Revokes every job that is not named.
    void keep_only(std::vector<std::string> const& jobs);
    // Nothing that is still on its way is given: who asked for it is gone.
    void abandon();
    // Fetches everything in use anew, with new tokens; the error of the first that could not be had.
    task<result<>> resync(deadline until);
    // For a systemd unit: credential_denied unless it is configured for it.
    task<result<shared_secret>> for_unit(std::string unit, std::string name, deadline until);

    [[nodiscard]] std::size_t size() const { return jobs_.size(); }

private:
    // A grant that waits for its values.
    struct pending {
        std::shared_ptr<grant> made;
        bool cancelled = false;
    };

    task<result<>> fill(grant& made, grant_request& request, deadline until);
    task<result<>> fetch_all(std::vector<credential_config> credentials, deadline until);
    task<> keep_young(credential_config credential);
    task<result<>> renew(credential_config credential, deadline until);
    task<result<>> deliver_to_all(credential_config credential, deadline until);
    task<result<>> deliver(std::shared_ptr<grant> to, credential_config credential, shared_secret value,
                           deadline until);
    // Takes it away where there is no value that may be served.
    task<> expire(std::string credential, error why);
    task<> withdraw(std::string credential, error why, deadline until);
    task<> withdraw_from(std::shared_ptr<grant> holder, std::string credential, error why, deadline until);
    task<> forget_after_units(std::string credential);
    void end(grant& job);
    void forget_unused(std::vector<credential_config> const& credentials);
    [[nodiscard]] std::vector<std::shared_ptr<grant>> holders_of(std::string const& credential) const;
    [[nodiscard]] bool is_running(grant const& job) const;
    // Of a credential's renewal, or of its files: one at a time. False: who has it did not end in time.
    task<bool> lock(std::string what, deadline until);
    void unlock(std::string const& what);
    [[nodiscard]] bool in_use(std::string const& credential) const;
    [[nodiscard]] std::chrono::milliseconds next_look(std::string const& credential, bool failed);

    config const& config_;
    store& store_;
    vault::timing& time_;
    root_link& root_;
    serve_job serve_;
    std::map<std::string, std::shared_ptr<grant>> jobs_;
    std::set<std::shared_ptr<pending>> pending_;
    std::map<std::string, std::weak_ptr<void>> units_;  // held by each unit's request that is under way
    std::set<std::string> kept_young_;
    std::map<std::string, std::shared_ptr<vault::gate>> locked_;
};

}  // namespace scratchd::broker
