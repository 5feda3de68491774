#include "agent/vault/token_desk.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

std::string key_of(std::string const& identity, std::string const& resource) {
    return fmt::format("{} {}", identity, resource);
}

}  // namespace

token_desk::token_desk(timing& time, std::map<std::string, std::shared_ptr<identity_source>> identities)
    : identities_(std::move(identities)), cache_(time) {}

task<result<shared_token>> token_desk::token(std::string identity, std::string resource, deadline until) {
    auto const found = identities_.find(identity);
    if (found == identities_.end())
        co_return fail(errc::config_value, fmt::format("there is no [[identity]] \"{}\"", identity));
    // It holds the source: a refresh in the background may outlive this desk.
    token_cache::fetch fetch = [source = found->second, resource](deadline limit) {
        return source->token(resource, limit);
    };
    auto token = co_await cache_.get(key_of(identity, resource), std::move(fetch), until);
    if (!token) co_return std::unexpected(std::move(token).error().while_doing(fmt::format("identity {}", identity)));
    co_return token;
}

void token_desk::reject(std::string const& identity, std::string const& resource, shared_token const& refused) {
    cache_.reject(key_of(identity, resource), refused);
}

void token_desk::forget() {
    cache_.clear();
}

}  // namespace scratchd::vault
