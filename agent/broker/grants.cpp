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
    return std::ranges::any_of(jobs_, [&](auto const& job) { return job.second->has(credential); }) ||
           std::ranges::any_of(pending_, [&](auto const& p) { return !p->cancelled && p->made->has(credential); }) ||
           units_.contains(credential);
}

bool grants::is_running(grant const& job) const {
    auto const found = jobs_.find(job.job());
    return found != jobs_.end() && found->second.get() == &job;
}

std::vector<std::shared_ptr<grant>> grants::holders_of(std::string const& credential) const {
    std::vector<std::shared_ptr<grant>> out;
    for (auto const& [name, held] : jobs_)
        if (held->has(credential)) out.push_back(held);
    return out;
}

void grants::forget_unused(std::vector<credential_config> const& credentials) {
    for (auto const& c : credentials)
        if (!in_use(c.name)) store_.forget(c.name);
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
    auto const waiting = std::make_shared<pending>(*std::move(admitted));
    auto const made = waiting->made;
    auto const all = made->granted();
    pending_.insert(waiting);
    auto filled = co_await fill(*made, request, until);
    pending_.erase(waiting);
    if (filled && waiting->cancelled) filled = fail(errc::credential_gone, "the job ended before it was granted");
    if (!filled) {
        forget_unused(all);
        co_return filled;
    }
    auto const before = jobs_.extract(request.job);
    made->servers = serve_(std::move(request.requests), std::move(request.agent), *made);
    jobs_.insert_or_assign(request.job, made);
    if (before) end(*before.mapped());  // after it: what both have is not forgotten
    for (auto const& c : all) {
        log::info("credential.granted", {{"job", request.job}, {"user", request.user}, {"credential", c.name}});
        if (kept_young_.insert(c.name).second) co_await vault::run_apart(keep_young(c));
    }
    co_return result<>{};
}

task<result<>> grants::fill(grant& made, grant_request& request, deadline until) {
    auto const all = made.granted();
    auto fetched = co_await fetch_all(all, until);
    if (!fetched) co_return fetched;
    // Everything is in memory: what follows does not wait, so nothing comes between.
    std::size_t next = 0;
    for (auto const& c : all) {
        SCRATCHD_CO_TRY(auto const value, made.value(c.name));
        for (auto const& file : made.files(c.name)) {
            SCRATCHD_CO_TRY(auto const text, file_text(file.what, c, *value));
            auto const written = write_all(request.outlets[next++].get(), text_of(text));
            if (!written) co_return written;
        }
        made.in_files[c.name].value = value;
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
        auto run = [](grants& self, credential_config what, std::shared_ptr<one> into, deadline limit) -> task<> {
            auto got = co_await self.store_.get(what, store::wish::young_enough, limit);
            into->outcome.emplace(std::move(got));
            into->landed.open();
            if (!self.in_use(what.name)) self.store_.forget(what.name);  // it came too late for its job
        };
        co_await vault::run_apart(run(*this, c, flight, until));
    }
    for (auto const& flight : all) {
        bool const landed = co_await flight->landed.wait(until);
        if (!landed) co_return fail(errc::timed_out, "the credentials took longer than [broker] budget");
        if (!*flight->outcome) co_return std::unexpected(flight->outcome->error());
    }
    co_return result<>{};
}

// A renewal that waits for root may still hold the grant: its sockets and values go now.
void grants::end(grant& job) {
    job.servers.reset();
    job.in_files.clear();
    forget_unused(job.granted());
}

void grants::revoke(std::string const& job) {
    for (auto const& waiting : pending_)
        if (waiting->made->job() == job) waiting->cancelled = true;
    auto const ended = jobs_.extract(job);
    if (!ended) return;
    log::info("credentials.revoked", {{"job", job}});
    end(*ended.mapped());
}

void grants::abandon() {
    for (auto const& waiting : pending_) waiting->cancelled = true;
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
    // Many units of one kind start at once: the value stays for a moment, so that they cost one request.
    auto const [entry, is_first] = units_.try_emplace(name);
    auto hold = entry->second.lock();
    if (!hold) entry->second = hold = std::make_shared<char>();
    if (is_first) co_await vault::run_apart(forget_after_units(name));
    auto got = co_await store_.get(*found, store::wish::young_enough, until);
    if (!got) co_return std::unexpected(std::move(got).error());
    co_return got->value;
}

task<> grants::forget_after_units(std::string credential) {
    while (!units_[credential].expired()) co_await time_.pause(std::chrono::seconds(1));
    units_.erase(credential);
    if (!in_use(credential)) store_.forget(credential);
}

}  // namespace scratchd::broker
