#include "agent/vault/token.hpp"

#include "agent/vault/document.hpp"
#include "agent/vault/exchange.hpp"
#include "agent/vault/http_date.hpp"
#include "agent/vault/jwt.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd::vault {
namespace {

using std::chrono::seconds;

constexpr auto longest_life = std::chrono::days(7);

std::optional<std::int64_t> number_or_text(view from, std::string_view key) {
    if (auto const number = from.number(key)) return number;
    if (auto const text = from.text(key)) return parse_any_date(*text);
    return std::nullopt;
}

// expires_in and our own monotonic clock first: the node's wall clock may be wrong.
std::optional<seconds> life_of(view reply, timing const& time) {
    if (auto const left = number_or_text(reply, "expires_in")) return seconds(*left);
    if (auto const at = number_or_text(reply, "expires_on")) return seconds(*at - time.wall_seconds());
    return std::nullopt;
}

std::string_view without_slash(std::string_view resource) {
    return resource.ends_with('/') ? resource.substr(0, resource.size() - 1) : resource;
}

// The echo decides; without one the token's own claims do; without either nobody can tell.
result<> check_owner(view reply, view claims, std::string const& wanted, std::string_view echo, std::string_view claim,
                     std::string_view place) {
    if (wanted.empty()) return {};
    auto found = reply.text(echo);
    if (!found) found = claims.text(claim);
    if (!found)
        return fail(errc::identity_refused,
                    fmt::format("{} does not say that the token is of the {} that was asked for", place, echo));
    if (!same_text(*found, wanted))
        return fail(errc::identity_refused,
                    fmt::format("{} gave the token of another identity than the {} that was asked for", place, echo));
    return {};
}

result<> check_wish(view reply, std::string_view token, token_wish const& wish, std::string_view place) {
    auto const kind = reply.text("token_type");
    if (kind && !same_text(*kind, "Bearer"))
        return fail(errc::vault_malformed, fmt::format("{}: token_type is not Bearer", place));
    auto const resource = reply.text("resource");
    if (resource && !same_text(without_slash(*resource), without_slash(wish.resource)))
        return fail(errc::identity_refused, fmt::format("{} gave a token for another resource", place));
    auto const claims = read_claims(token);
    auto const claim = claims ? claims->root() : view();
    SCRATCHD_CHECK(check_owner(reply, claim, wish.client_id, "client_id", "appid", place));
    SCRATCHD_CHECK(check_owner(reply, claim, wish.object_id, "object_id", "oid", place));
    return check_owner(reply, claim, wish.resource_id, "msi_res_id", "xms_mirid", place);
}

seconds refresh_after(view reply, seconds life) {
    auto const asked = number_or_text(reply, "refresh_in");
    if (asked && *asked > 0 && seconds(*asked) < life) return seconds(*asked);
    return life >= std::chrono::hours(2) ? life / 2 : std::max(life - std::chrono::minutes(5), life / 2);
}

}  // namespace

result<access_token> read_token_reply(secret const& body, token_wish const& wish, timing const& time,
                                      std::string_view place) {
    SCRATCHD_TRY(auto const reply, document::parse(text_of(body), token_body_bytes, place));
    auto const root = reply.root();
    auto const token = root.text("access_token");
    if (!token || !is_header_safe(*token))
        return fail(errc::vault_malformed, fmt::format("{}: no usable access_token", place));
    auto const life = life_of(root, time);
    if (!life) return fail(errc::vault_malformed, fmt::format("{}: neither expires_in nor expires_on", place));
    if (*life <= seconds(0)) return fail(errc::vault_malformed, fmt::format("{}: the token is past its end", place));
    SCRATCHD_CHECK(check_wish(root, *token, wish, place));
    auto const kept = std::min<seconds>(*life, longest_life);
    SCRATCHD_TRY(auto value, joined({*token}));
    return access_token{std::move(value), time.now() + refresh_after(root, kept), time.now() + kept};
}

}  // namespace scratchd::vault
