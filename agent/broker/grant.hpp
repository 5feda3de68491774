// What one job was granted: who it is for, what it may have now, and the sockets that serve it.
#pragma once

#include "agent/base/handle.hpp"
#include "agent/broker/source.hpp"
#include "agent/broker/store.hpp"
#include "agent/config/delivery.hpp"

#include <sys/types.h>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace scratchd::broker {

struct grant_request {
    std::string job;
    std::string user;
    uid_t uid = 0;
    std::vector<std::string> groups;
    std::vector<std::string> credentials;
    std::vector<std::string> files;  // as root made them
    unique_fd requests;              // listens at credential.sock
    unique_fd agent;                 // listens at ssh-agent.sock
    std::vector<unique_fd> outlets;  // write-only, one for each of `files`
};

// What serves a job's sockets; they are closed with it.
class job_service {
public:
    virtual ~job_service() = default;
    // A value was replaced or withdrawn: what was made of the old one is dropped now, not when somebody asks.
    virtual void changed() = 0;
};

// What the files of one credential hold, as far as it is known.
struct file_state {
    shared_secret value;  // null: unknown, or nothing
    bool is_withdrawn = false;
};

class grant final : public job_source {
public:
    // credential_unknown, credential_denied; bad_request when root's files are not those of the configuration: the two
    // daemons then run with different ones.
    static result<std::shared_ptr<grant>> admit(grant_request& request, config const& settings, store const& values);

    [[nodiscard]] std::string const& job() const override { return job_; }
    [[nodiscard]] std::vector<credential_config> granted() const override { return credentials_; }
    [[nodiscard]] result<shared_secret> value(std::string const& name) const override;

    [[nodiscard]] uid_t uid() const { return uid_; }
    [[nodiscard]] bool has(std::string const& name) const;
    // The files that carry this credential.
    [[nodiscard]] std::vector<delivered_file> files(std::string const& credential) const;

    std::unique_ptr<job_service> servers;
    std::map<std::string, file_state> in_files;  // by credential

private:
    grant(std::string job, uid_t uid, store const& values) : job_(std::move(job)), uid_(uid), values_(values) {}

    std::string job_;
    uid_t uid_;
    std::vector<credential_config> credentials_;
    std::vector<delivered_file> files_;
    store const& values_;
};

}  // namespace scratchd::broker
