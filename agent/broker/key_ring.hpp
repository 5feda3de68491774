// The ssh keys that one job may use now, decoded once per value and not once per signature.
#pragma once

#include "agent/broker/source.hpp"
#include "agent/crypto/ssh_key.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace scratchd::broker {

struct ring_key {
    credential_config config;
    shared_secret from;  // what `key` was decoded from: another pointer means that it was rotated
    ssh_key key;
};

class key_ring {
public:
    // Tells of a granted credential whose value is no ssh key, once per value.
    using problem = std::function<void(std::string const& credential, error const&)>;

    // `source` outlives it.
    explicit key_ring(job_source const& source, problem tell = {}) : source_(source), tell_(std::move(tell)) {}

    // What is granted and there at this moment, in the order of the grant. Valid until the next call of a member.
    std::vector<ring_key> const& refresh();
    // The key of this public blob if it is still granted and was not rotated since; null otherwise.
    ring_key const* find(std::string_view blob);

private:
    job_source const& source_;
    problem tell_;
    std::vector<ring_key> keys_;
    std::vector<shared_secret> bad_;  // told of already
};

}  // namespace scratchd::broker
