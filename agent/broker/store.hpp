// The newest value of each credential in use. Everything asks here; only here is the vault asked.
//
// A value that is younger than [broker] max_age answers from memory; simultaneous callers cost one request. When its
// last user goes, it is forgotten, and its memory wiped with the last pointer to it.
#pragma once

#include "agent/broker/source.hpp"
#include "agent/vault/provider.hpp"
#include "agent/vault/single_flight.hpp"
#include "agent/vault/timing.hpp"

#include <map>
#include <optional>
#include <string>

namespace scratchd::broker {

struct kept {
    shared_secret value;
    vault::timing::clock::time_point fetched;
    std::optional<std::int64_t> expires;  // seconds since 1970
    bool is_denied = false;               // the vault has said no since: that is no outage
};

class store {
public:
    store(vault::provider& from, vault::timing& time, broker_config const& settings)
        : vault_(from), time_(time), settings_(settings) {}

    enum class wish : std::uint8_t { young_enough, fresh };
    // Errors are those of the provider. A value that has expired is not given.
    task<result<kept>> get(credential_config credential, wish how, deadline until);
    // What is in memory; nothing when there is nothing, or what there is must not be served any more.
    [[nodiscard]] std::optional<kept> peek(std::string const& name) const;
    // How long what is in memory may still be served.
    [[nodiscard]] std::chrono::milliseconds lifetime(kept const& what) const;
    void forget(std::string const& name) { values_.erase(name); }
    void forget_tokens() { vault_.forget(); }

private:
    task<result<kept>> fetch(credential_config credential, deadline until);

    vault::provider& vault_;
    vault::timing& time_;
    broker_config const& settings_;
    std::map<std::string, kept> values_;
    vault::single_flight<kept> flights_;
};

// What the vault says for good: waiting does not help, and what was delivered must go.
bool is_final(errc code);

}  // namespace scratchd::broker
