#include "agent/broker/grants.hpp"

#include "agent/base/file.hpp"
#include "agent/base/log.hpp"
#include "agent/broker/file_text.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd::broker {
namespace {

std::string_view text_of(secret const& bytes) {
    return {reinterpret_cast<char const*>(bytes.bytes().data()), bytes.size()};
}

}  // namespace

bool grants::in_use(std::string const& credential) const {
    return std::ranges::any_of(jobs_, [&](auto const& job) { return job.second->has(credential); });
}

task<result<>> grants::give(grant_request request, deadline until) {
    auto admitted = grant::admit(request, config_, store_);
    if (!admitted) {
        log::warn("credential.denied", {{"job", request.job},
                                        {"user", request.user},
                                        {"uid", request.uid},
                                        {"reason", admitted.error().message()}});
        co_return std::unexpected(std::move(admitted).error());
    }
    auto const made = *std::move(admitted);
    auto const all = made->granted();
    auto fetched = co_await fetch_all(all, until);
    if (!fetched) co_return fetched;
    // Everything is in memory: what follows does not wait, so nothing comes between.
    std::size_t next = 0;
    for (auto const& c : all)
        for (auto const& file : made->files(c.name)) {
            SCRATCHD_CO_TRY(auto const value, made->value(c.name));
            SCRATCHD_CO_TRY(auto const text, file_text(file.what, c, *value));
            auto const written = write_all(request.outlets[next++].get(), text_of(text));
            if (!written) co_return written;
        }
    made->servers = serve_(std::move(request.requests), std::move(request.agent), *made);
    jobs_.insert_or_assign(request.job, made);
    for (auto const& c : all) {
        log::info("credential.granted", {{"job", request.job}, {"user", request.user}, {"credential", c.name}});
        if (auto const here = store_.peek(c.name); here) delivered_[c.name] = here->value;
        if (kept_young_.insert(c.name).second) co_await vault::run_apart(keep_young(c));
    }
    co_return result<>{};
}

// Side by side: the slowest decides, not the sum.
task<result<>> grants::fetch_all(std::vector<credential_config> credentials, deadline until) {
    struct one {
        vault::gate landed;
        std::optional<result<kept>> outcome;
    };
    std::vector<std::shared_ptr<one>> all;
    for (auto const& c : credentials) {
        auto const flight = std::make_shared<one>();
        all.push_back(flight);
        auto run = [](store& from, credential_config what, std::shared_ptr<one> into, deadline limit) -> task<> {
            auto got = co_await from.get(std::move(what), store::wish::young_enough, limit);
            into->outcome.emplace(std::move(got));
            into->landed.open();
        };
        co_await vault::run_apart(run(store_, c, flight, until));
    }
    for (auto const& flight : all) {
        bool const landed = co_await flight->landed.wait(until);
        if (!landed) co_return fail(errc::timed_out, "the credentials took longer than [broker] budget");
        if (!*flight->outcome) co_return std::unexpected(flight->outcome->error());
    }
    co_return result<>{};
}

void grants::revoke(std::string const& job) {
    auto const ended = jobs_.extract(job);
    if (!ended) return;
    log::info("credentials.revoked", {{"job", job}});
    for (auto const& c : ended.mapped()->granted())
        if (!in_use(c.name)) {
            store_.forget(c.name);
            delivered_.erase(c.name);
        }
}

void grants::keep_only(std::vector<std::string> const& jobs) {
    std::vector<std::string> gone;
    for (auto const& [name, held] : jobs_)
        if (std::ranges::find(jobs, name) == jobs.end()) gone.push_back(name);
    for (auto const& name : gone) revoke(name);
}

task<result<>> grants::resync(deadline until) {
    store_.forget_tokens();
    std::map<std::string, credential_config> all;
    for (auto const& [name, held] : jobs_)
        for (auto const& c : held->granted()) all.emplace(c.name, c);
    result<> first;
    for (auto const& [name, credential] : all) {
        auto renewed = co_await renew(credential, until);
        if (!renewed && first) first = std::move(renewed);
    }
    co_return first;
}

task<result<shared_secret>> grants::for_unit(std::string unit, std::string name, deadline until) {
    auto const found = std::ranges::find(config_.credentials, name, &credential_config::name);
    if (found == config_.credentials.end())
        co_return fail(errc::credential_unknown, fmt::format("no [[credential]] is named \"{}\"", name));
    if (std::ranges::find(found->units, unit) == found->units.end())
        co_return fail(errc::credential_denied, fmt::format("credential {} is not for unit {}", name, unit));
    auto got = co_await store_.get(*found, store::wish::young_enough, until);
    if (!in_use(name)) store_.forget(name);
    if (!got) co_return std::unexpected(std::move(got).error());
    co_return got->value;
}

}  // namespace scratchd::broker
