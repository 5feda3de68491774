#include "agent/vault/identity_reply.hpp"

#include "agent/vault/document.hpp"
#include "agent/vault/secret_text.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <string>

namespace scratchd::vault {
namespace {

// RFC 6749, 5.2, and what Entra adds.
constexpr std::array<std::string_view, 11> known_errors = {
    "invalid_request",         "invalid_client", "invalid_grant",    "unauthorized_client",
    "unsupported_grant_type",  "invalid_scope",  "invalid_resource", "access_denied",
    "temporarily_unavailable", "server_error",   "invalid_target"};

struct meaning {
    std::string_view number;
    std::string_view words;
};
// "Microsoft Entra authentication and authorization error codes".
constexpr std::array meanings = {
    meaning{"7000215", "the client secret is wrong"},
    meaning{"7000222", "the client secret is past its end"},
    meaning{"700016", "the tenant has no such application"},
    meaning{"90002", "there is no such tenant"},
    meaning{"700024", "the assertion is not valid now: look at this machine's clock"},
    meaning{"700027", "the assertion's signature is not of a registered certificate"},
    meaning{"70021", "no federated credential matches this token"},
    meaning{"500011", "the tenant does not know the resource"},
};

std::string_view known_error(view reply) {
    auto found = reply.text("error");
    if (!found) found = reply.object("error").text("code");
    auto const* const known = found ? std::ranges::find(known_errors, *found) : known_errors.end();
    return known != known_errors.end() ? *known : std::string_view();
}

std::string sts_words(view reply) {
    constexpr std::string_view mark = "AADSTS";
    auto const text = reply.text("error_description").value_or("");
    auto const at = text.find(mark);
    if (at == std::string_view::npos) return {};
    auto number = text.substr(at + mark.size(), 8);
    number = number.substr(0, std::min(number.find_first_not_of("0123456789"), number.size()));
    auto const* const found = std::ranges::find(meanings, number, &meaning::number);
    if (found == meanings.end()) return fmt::format(", AADSTS{}", number);
    return fmt::format(", AADSTS{}: {}", number, found->words);
}

// The ids by which the service's operators find the request.
std::string trace_words(view reply) {
    auto const id = reply.text("trace_id").value_or("");
    bool const is_uuid = id.size() == 36 && id.find_first_not_of("0123456789abcdefABCDEF-") == std::string_view::npos;
    return is_uuid ? fmt::format(", trace id {}", id) : std::string();
}

errc code_of(int status) {
    if (status == 429) return errc::vault_throttled;
    if (status == 404 || status == 410 || status >= 500) return errc::vault_unreachable;
    return errc::identity_refused;
}

}  // namespace

result<access_token> token_from(incoming const& answer, token_wish const& wish, timing const& time,
                                std::string_view place) {
    if (answer.status == 200) return read_token_reply(answer.body, wish, time, place);
    std::string words = fmt::format("{} answered {}", place, answer.status);
    if (auto const reply = document::parse(text_of(answer.body), token_body_bytes, place)) {
        if (auto const known = known_error(reply->root()); !known.empty()) words += fmt::format(" {}", known);
        words += sts_words(reply->root()) + trace_words(reply->root());
    }
    if (answer.status == 400 && place == "IMDS")
        words += ": is the identity assigned to this machine, and named, if there are several?";
    return fail(code_of(answer.status), std::move(words));
}

}  // namespace scratchd::vault
