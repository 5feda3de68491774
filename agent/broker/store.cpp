#include "agent/broker/store.hpp"

#include <algorithm>

namespace scratchd::broker {

using namespace std::chrono_literals;

bool is_final(errc code) {
    switch (code) {
    case errc::secret_missing:
    case errc::secret_disabled:
    case errc::secret_expired:
    case errc::credential_format:
    case errc::source_insecure: return true;
    default: return false;
    }
}

std::chrono::milliseconds store::lifetime(kept const& what) const {
    auto const served_until = what.fetched + settings_.max_age + (what.is_denied ? 0ms : settings_.stale);
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(served_until - time_.now());
    if (what.expires) left = std::min<std::chrono::milliseconds>(left, (*what.expires - time_.wall_seconds()) * 1s);
    return std::max(left, 0ms);
}

std::optional<kept> store::peek(std::string const& name) const {
    auto const found = values_.find(name);
    if (found == values_.end() || lifetime(found->second) == 0ms) return std::nullopt;
    return found->second;
}

task<result<kept>> store::get(credential_config credential, wish how, deadline until) {
    if (how == wish::young_enough)
        if (auto const here = peek(credential.name); here && time_.now() - here->fetched < settings_.max_age)
            co_return *here;
    auto const name = credential.name;
    // A fresh value must have been asked for after the wish: it does not join a flight that began before.
    auto const key = name + (how == wish::fresh ? "/fresh" : "");
    vault::single_flight<kept>::work work = [this, credential](deadline limit) { return fetch(credential, limit); };
    auto flown = co_await flights_.join(key, std::move(work), until);
    co_return flown;
}

task<result<kept>> store::fetch(credential_config credential, deadline until) {
    auto const asked_at = time_.now();
    vault::secret_ref ref{credential.vault, credential.secret_name.empty() ? credential.name : credential.secret_name,
                          credential.version, credential.identity};
    auto got = result<vault::fetched>(fail(errc::internal, "not asked"));
    if (credential.exchange) got = co_await vault_.registry_login(credential.registry, credential.identity, until);
    else got = co_await vault_.fetch(std::move(ref), until);
    if (!got) {
        auto const code = got.error().code;
        if (is_final(code)) values_.erase(credential.name);
        if (auto const here = values_.find(credential.name); here != values_.end())
            here->second.is_denied |= code == errc::vault_denied || code == errc::identity_refused;
        co_return std::unexpected(std::move(got).error().while_doing("credential " + credential.name));
    }
    if (until.passed()) co_return fail(errc::timed_out, "credential " + credential.name + " came too late");
    // Its age counts from the question: what was true then may have changed while the answer travelled.
    kept made{std::make_shared<secret const>(std::move(got->value)), asked_at, got->expires};
    values_.insert_or_assign(credential.name, made);
    co_return made;
}

}  // namespace scratchd::broker
