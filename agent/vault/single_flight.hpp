// A thousand callers who want the same thing cost one request.
#pragma once

#include "agent/base/error.hpp"
#include "agent/vault/gate.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace scratchd::vault {

// T is cheap to copy: a shared_ptr to what was fetched.
template <class T>
class single_flight {
public:
    using work = std::function<task<result<T>>(deadline)>;

    // The outcome of the work that runs under `key`, begun with this caller's deadline if none does. Each caller waits
    // until its own deadline; the work goes on when its first caller has gone. A caller with time left does not take
    // over that the first one's time was up: it begins anew.
    task<result<T>> join(std::string key, work begin, deadline until) {
        auto const all = flying_;
        for (;;) {
            auto current = all->contains(key) ? all->at(key) : nullptr;
            bool const is_mine = !current;
            if (is_mine) {
                current = std::make_shared<flight>();
                all->insert_or_assign(key, current);
                co_await run_apart(run(all, key, current, begin, a_little_before(until)));
            }
            bool const landed = co_await current->done.wait(until);
            if (!landed) co_return fail(errc::timed_out, "no answer in time");
            auto const& outcome = current->outcome;
            if (is_mine || outcome || outcome.error().code != errc::timed_out || until.passed()) co_return outcome;
        }
    }

private:
    struct flight {
        gate done;
        result<T> outcome = fail(errc::internal, "not begun");
    };
    using flights = std::map<std::string, std::shared_ptr<flight>>;

    // So that who waits gets the work's own words for why its time was up.
    static deadline a_little_before(deadline until) {
        auto const left = until.left();
        return until.at_most(left - std::min(left / 10, std::chrono::milliseconds(200)));
    }

    static task<> run(std::shared_ptr<flights> all, std::string key, std::shared_ptr<flight> self, work begin,
                      deadline until) {
        auto outcome = co_await begin(until);
        self->outcome = std::move(outcome);
        all->erase(key);
        self->done.open();
    }

    std::shared_ptr<flights> flying_ = std::make_shared<flights>();
};

}  // namespace scratchd::vault
