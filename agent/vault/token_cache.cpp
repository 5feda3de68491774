#include "agent/vault/token_cache.hpp"

namespace scratchd::vault {
namespace {

using namespace std::chrono_literals;

constexpr auto last_minute = 60s;
constexpr auto between_tries = 30s;
constexpr auto refresh_time = 90s;  // enough for the 70 s of IMDS's 410

}  // namespace

token_cache::token_cache(timing& time) : state_(std::make_shared<state>(state{time, {}, {}, 0})) {}

task<result<shared_token>> token_cache::fetch_and_keep(std::shared_ptr<state> all, std::string key, fetch ask,
                                                       deadline until) {
    auto const began = all->generation;
    auto token = co_await ask(until);
    if (!token) co_return std::unexpected(std::move(token).error());
    auto shared = std::make_shared<access_token const>(*std::move(token));
    // What was asked for before a clear() serves its callers and is not kept.
    if (all->generation == began) all->entries.insert_or_assign(key, entry{shared, {}});
    co_return shared;
}

task<result<shared_token>> token_cache::renew(std::shared_ptr<state> all, std::string key, fetch ask, deadline until) {
    auto const flight = std::to_string(all->generation) + " " + key;
    single_flight<shared_token>::work work = [all, key, ask](deadline limit) {
        return fetch_and_keep(all, key, ask, limit);
    };
    auto outcome = co_await all->flights.join(flight, std::move(work), until);
    co_return outcome;
}

task<> token_cache::renew_apart(std::shared_ptr<state> all, std::string key, fetch ask) {
    auto ignored = co_await renew(std::move(all), std::move(key), std::move(ask), deadline::in(refresh_time));
    (void)ignored;  // the old token serves on; whoever finds it at its end gets the error
}

task<result<shared_token>> token_cache::get(std::string key, fetch ask, deadline until) {
    auto const all = state_;
    auto const found = all->entries.find(key);
    shared_token const held = found != all->entries.end() ? found->second.held : nullptr;
    auto const now = all->time.now();
    if (held && now < held->refresh) co_return held;
    if (held && now < held->expires - last_minute) {
        if (now >= found->second.next_try) {
            found->second.next_try = now + between_tries;
            co_await run_apart(renew_apart(all, key, ask));
        }
        co_return held;
    }
    auto fresh = co_await renew(all, key, std::move(ask), until);
    if (!fresh && held && all->time.now() < held->expires) co_return held;
    co_return fresh;
}

void token_cache::reject(std::string const& key, shared_token const& refused) {
    auto const found = state_->entries.find(key);
    if (found != state_->entries.end() && found->second.held == refused) state_->entries.erase(found);
}

void token_cache::clear() {
    ++state_->generation;
    state_->entries.clear();
}

}  // namespace scratchd::vault
