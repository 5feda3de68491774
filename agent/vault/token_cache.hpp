// Tokens that are still good, and one request at most for each that is not.
#pragma once

#include "agent/vault/single_flight.hpp"
#include "agent/vault/token.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace scratchd::vault {

class token_cache {
public:
    using fetch = std::function<task<result<access_token>>(deadline)>;

    explicit token_cache(timing& time);

    // `key` names source, identity and resource. A token due for refresh is given out while a new one is fetched
    // behind it; in its last minute the caller waits, and gets the old one when that fails. After a failed refresh the
    // next is tried 30 s later.
    task<result<shared_token>> get(std::string key, fetch ask, deadline until);
    // The service refused it: not given out again. A newer one stays.
    void reject(std::string const& key, shared_token const& refused);
    void clear();

private:
    struct entry {
        shared_token held;
        timing::clock::time_point next_try;
    };
    struct state {
        timing& time;
        std::map<std::string, entry> entries;
        single_flight<shared_token> flights;
        unsigned generation = 0;
    };

    static task<result<shared_token>> fetch_and_keep(std::shared_ptr<state> all, std::string key, fetch ask,
                                                     deadline until);
    static task<result<shared_token>> renew(std::shared_ptr<state> all, std::string key, fetch ask, deadline until);
    static task<> renew_apart(std::shared_ptr<state> all, std::string key, fetch ask);

    std::shared_ptr<state> state_;
};

}  // namespace scratchd::vault
