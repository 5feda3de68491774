#include "agent/vault/registry_login.hpp"

#include "agent/vault/challenge.hpp"
#include "agent/vault/document.hpp"
#include "agent/vault/jwt.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>
#include <array>

namespace scratchd::vault {
namespace {

// Before a token is even asked for: is it a registry that has its login on its own host?
result<> check_challenge(incoming const& answer, endpoint const& registry) {
    auto const name = registry.authority();
    if (answer.status == 429) return fail(errc::vault_throttled, name);
    if (answer.status >= 500) return fail(errc::vault_unreachable, fmt::format("{}: status {}", name, answer.status));
    auto const bearer = find_challenge(answer.challenges, "bearer");
    auto const realm = bearer ? bearer->parameter("realm") : std::nullopt;
    if (answer.status != 401 || !realm)
        return fail(errc::vault_malformed, fmt::format("{} names no place to log in (status {})", name, answer.status));
    auto const at = parse_link(*realm);
    if (!at || at->to != registry)
        return fail(errc::vault_untrusted, fmt::format("{} wants the login at another host", name));
    auto const expected = bearer->parameter("service");
    if (expected && !same_text(*expected, name) && !same_text(*expected, registry.host))
        return fail(errc::vault_untrusted, fmt::format("{} names another service", name));
    return {};
}

result<outgoing> exchange_request(endpoint const& registry, shared_token const& token) {
    auto const name = registry.authority();
    std::array const fields = {form_field{"grant_type", "access_token"}, form_field{"service", name},
                               form_field{"access_token", text_of(token->value)}};
    outgoing request;
    request.method = "POST";
    request.to = registry;
    request.target = "/oauth2/exchange";
    request.body_type = "application/x-www-form-urlencoded";
    SCRATCHD_TRY(request.body, form_body(fields));
    return request;
}

result<fetched> read_exchange(incoming const& answer, std::string const& name, std::int64_t wall_seconds) {
    if (answer.status == 429) return fail(errc::vault_throttled, name);
    if (answer.status >= 500) return fail(errc::vault_unreachable, fmt::format("{}: status {}", name, answer.status));
    if (answer.status != 200)
        return fail(errc::vault_denied, fmt::format("{} refuses the exchange (status {})", name, answer.status));
    SCRATCHD_TRY(auto const reply, document::parse(text_of(answer.body), token_body_bytes, name));
    auto const token = reply.root().text("refresh_token");
    if (!token || !is_header_safe(*token))
        return fail(errc::vault_malformed, fmt::format("{}: no usable refresh_token", name));
    fetched out;
    SCRATCHD_TRY(out.value, joined({*token}));
    auto const claims = read_claims(*token);
    out.expires = claims ? claims->root().number("exp") : std::nullopt;
    if (out.expires.value_or(wall_seconds + 1) <= wall_seconds)
        return fail(errc::vault_malformed, fmt::format("{}: the refresh_token is past its end", name));
    return out;
}

}  // namespace

task<result<fetched>> log_in_at_registry(asking how, cloud const& names, token_desk& desk, std::string registry,
                                         std::string identity, deadline until) {
    SCRATCHD_CO_TRY(auto const at, parse_registry(registry, names.registry_suffix));
    request_maker probe = [&at]() -> result<outgoing> {
        outgoing request;
        request.to = at;
        request.target = "/v2/";
        return request;
    };
    auto const probed = co_await ask(how, service::vault, std::move(probe), until);
    if (!probed) co_return std::unexpected(probed.error());
    if (auto checked = check_challenge(*probed, at); !checked) co_return std::unexpected(std::move(checked).error());

    for (bool renewed = false;; renewed = true) {
        SCRATCHD_CO_TRY(auto const token, co_await desk.token(identity, names.registry_resource, until));
        request_maker make = [&at, &token]() { return exchange_request(at, token); };
        auto const answer = co_await ask(how, service::vault, std::move(make), until);
        if (!answer) co_return std::unexpected(answer.error());
        if (answer->status == 401 && !renewed) {
            desk.reject(identity, names.registry_resource, token);
            continue;
        }
        auto found = read_exchange(*answer, at.authority(), how.time.wall_seconds());
        co_return found;
    }
}

}  // namespace scratchd::vault
