#include "agent/vault/vault_errors.hpp"

#include "agent/vault/challenge.hpp"
#include "agent/vault/document.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <optional>

namespace scratchd::vault {
namespace {

struct meaning {
    std::string_view code;
    errc what;
    std::string_view words;
};

// The inner code first: a disabled secret and a closed firewall have the same outer one, Forbidden.
constexpr std::array meanings = {
    meaning{"SecretDisabled", errc::secret_disabled, "it is disabled"},
    meaning{"ForbiddenByFirewall", errc::vault_denied, "the vault's firewall does not let this address in"},
    meaning{"ForbiddenByConnection", errc::vault_denied, "the vault takes connections over its private endpoint only"},
    meaning{"ForbiddenByRbac", errc::vault_denied, "no role allows it; a new assignment takes some minutes"},
    meaning{"ForbiddenByPolicy", errc::vault_denied, "the vault's access policy does not allow it"},
    meaning{"AccessDenied", errc::vault_denied, "the vault's access policy does not allow it"},
    meaning{"SecretNotFound", errc::secret_missing, "there is no such secret"},
    meaning{"CertificateNotFound", errc::secret_missing, "there is no such certificate"},
    meaning{"KeyNotFound", errc::secret_missing, "there is no such key"},
    meaning{"ObjectIsBeingDeleted", errc::secret_missing, "it is being deleted"},
    meaning{"ObjectIsDeletedButRecoverable", errc::secret_missing, "it was deleted and can be recovered"},
    meaning{"Forbidden", errc::vault_denied, "the vault does not say why"},
    meaning{"Throttled", errc::vault_throttled, "too many requests to this vault"},
    meaning{"BadParameter", errc::vault_malformed, "the vault does not take the request"},
    meaning{"Unauthorized", errc::vault_denied, "the token was not taken"},
};

meaning const* find_meaning(std::optional<std::string_view> code) {
    auto const* const found = code ? std::ranges::find(meanings, *code, &meaning::code) : meanings.end();
    return found != meanings.end() ? found : nullptr;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> token_problems = {{
    {"AKV10022", "the token is for another audience"},
    {"AKV10032", "the token is of a tenant that the vault does not trust"},
    {"AKV10046", "the vault could not resolve the token's signing key"},
    {"TokenExpired", "the token is past its end: look at this machine's clock"},
}};

std::string token_problem(view problem) {
    auto const message = problem.text("message").value_or("");
    for (auto const& [code, words] : token_problems)
        if (message.contains(code)) return fmt::format("{}: {}", code, words);
    return "the token was not taken";
}

// What the vault says it wants. Only compared, never followed.
std::string challenge_words(incoming const& answer, std::string_view resource) {
    auto const bearer = find_challenge(answer.challenges, "bearer");
    if (!bearer) return {};
    auto const wanted = bearer->parameter("resource");
    std::string out;
    if (wanted && !same_text(*wanted, resource))
        out += fmt::format("; it wants one for another resource than {}", resource);
    if (bearer->parameter("error") == "insufficient_claims") out += "; a conditional access policy wants more claims";
    return out;
}

errc usual_code(int status) {
    if (status == 401 || status == 403) return errc::vault_denied;
    if (status == 429) return errc::vault_throttled;
    if (status >= 500) return errc::vault_unreachable;
    return errc::vault_malformed;
}

std::optional<document> error_body(incoming const& answer) {
    auto parsed = document::parse(text_of(answer.body), vault_body_bytes, "error");
    if (!parsed) return std::nullopt;
    return *std::move(parsed);
}

}  // namespace

bool is_key_unresolved(incoming const& answer) {
    auto const body = error_body(answer);
    return answer.status == 401 && body &&
           body->root().object("error").text("message").value_or("").contains("AKV10046");
}

error vault_error(incoming const& answer, std::string_view subject, std::string_view resource) {
    auto const body = error_body(answer);
    auto const problem = body ? body->root().object("error") : view();
    if (answer.status == 401)
        return {errc::vault_denied, 0,
                fmt::format("{}: 401, {}{}", subject, token_problem(problem), challenge_words(answer, resource))};
    auto const* known = find_meaning(problem.object("innererror").text("code"));
    if (known == nullptr) known = find_meaning(problem.text("code"));
    // A gateway's page never withdraws a credential: what is gone must be said by the vault, in its own words.
    bool const is_refusal = answer.status >= 400 && answer.status < 500;
    if (known == nullptr || !is_refusal)
        return {usual_code(answer.status), 0, fmt::format("{}: status {}", subject, answer.status)};
    return {known->what, 0, fmt::format("{}: {} {}, {}", subject, answer.status, known->code, known->words)};
}

}  // namespace scratchd::vault
