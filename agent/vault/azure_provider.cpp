#include "agent/vault/key_vault.hpp"
#include "agent/vault/providers.hpp"
#include "agent/vault/registry_login.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/single_flight.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

using shared_fetched = std::shared_ptr<fetched const>;
using identities = std::map<std::string, std::shared_ptr<identity_source>>;

// What a request in flight needs: it goes on when its provider is gone.
struct client {
    client(asking how, cloud const& names, std::string const& api_version, identities who)
        : how(how), names(names), desk(how.time, std::move(who)), vault(how, names, api_version, desk) {}

    asking how;
    cloud names;
    token_desk desk;
    key_vault vault;
};

task<result<shared_fetched>> fetch_shared(std::shared_ptr<client> from, secret_ref what, deadline until) {
    auto found = co_await from->vault.get(std::move(what), until);
    if (!found) co_return std::unexpected(std::move(found).error());
    co_return std::make_shared<fetched const>(*std::move(found));
}

task<result<shared_fetched>> login_shared(std::shared_ptr<client> from, std::string registry, std::string identity,
                                          deadline until) {
    auto found = co_await log_in_at_registry(from->how, from->names, from->desk, std::move(registry),
                                             std::move(identity), until);
    if (!found) co_return std::unexpected(std::move(found).error());
    co_return std::make_shared<fetched const>(*std::move(found));
}

class azure_provider final : public provider {
public:
    explicit azure_provider(std::shared_ptr<client> from) : from_(std::move(from)) {}

    task<result<fetched>> fetch(secret_ref what, deadline until) override {
        auto const key = fmt::format("get {} {} {} {}", what.identity, what.vault, what.name, what.version);
        work begin = [from = from_, what](deadline limit) { return fetch_shared(from, what, limit); };
        auto found = co_await flights_.join(key, std::move(begin), until);
        co_return copy(found);
    }

    task<result<fetched>> registry_login(std::string registry, std::string identity, deadline until) override {
        auto const key = fmt::format("login {} {}", identity, registry);
        work begin = [from = from_, registry, identity](deadline limit) {
            return login_shared(from, registry, identity, limit);
        };
        auto found = co_await flights_.join(key, std::move(begin), until);
        co_return copy(found);
    }

    void forget() override { from_->desk.forget(); }

private:
    using work = single_flight<shared_fetched>::work;

    static result<fetched> copy(result<shared_fetched> const& from) {
        if (!from) return std::unexpected(from.error());
        auto const& found = **from;
        SCRATCHD_TRY(auto value, joined({text_of(found.value)}));
        return fetched{std::move(value), found.content_type, found.version, found.expires};
    }

    std::shared_ptr<client> from_;
    single_flight<shared_fetched> flights_;
};

}  // namespace

result<std::unique_ptr<provider>> make_azure_provider(broker_config const& config,
                                                      std::vector<identity_config> identities_wanted, transport& net,
                                                      timing& time, source_reader const& read) {
    SCRATCHD_TRY(auto const names, choose_cloud(config));
    if (identities_wanted.empty()) identities_wanted.push_back({.name = "default", .source = "imds"});
    asking const how{net, time};
    identities who;
    for (auto const& wanted : identities_wanted) {
        SCRATCHD_TRY(auto made, make_identity(wanted, {how, names.login, read}));
        if (!who.emplace(wanted.name, std::move(made)).second)
            return fail(errc::config_value, fmt::format("[[identity]] {} is there twice", wanted.name));
    }
    return std::make_unique<azure_provider>(std::make_shared<client>(how, names, config.api_version, std::move(who)));
}

}  // namespace scratchd::vault
