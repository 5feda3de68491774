#include "agent/vault/key_vault.hpp"

#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"
#include "agent/vault/vault_errors.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

constexpr std::size_t most_listed = 10000;
constexpr std::size_t most_pages = 1000;  // also when they are empty
constexpr auto short_wait = std::chrono::seconds(1);

}  // namespace

key_vault::key_vault(asking how, cloud names, std::string api_version, token_desk& desk)
    : how_(how), cloud_(std::move(names)), api_version_(std::move(api_version)), desk_(desk) {}

task<result<incoming>> key_vault::send_with(shared_token token, question const& what, deadline until) {
    request_maker make = [&token, &what]() -> result<outgoing> {
        outgoing request;
        request.to = what.to;
        request.target = what.target;
        request.headers = {{"Accept", "application/json"}};
        request.proof_name = "Authorization";
        SCRATCHD_TRY(request.proof, joined({"Bearer ", text_of(token->value)}));
        request.body_limit = vault_body_bytes;
        return request;
    };
    auto answer = co_await ask(how_, service::vault, std::move(make), until);
    co_return answer;
}

task<result<incoming>> key_vault::send(question what, deadline until) {
    bool renewed = false;
    for (unsigned repeats = 0;;) {
        SCRATCHD_CO_TRY(auto const token, co_await desk_.token(what.identity, cloud_.vault_resource, until));
        auto answer = co_await send_with(token, what, until);
        if (!answer || answer->status != 401) co_return answer;
        switch (decide_after_401(is_key_unresolved(*answer), repeats, renewed)) {
        case after_401::give_up: co_return answer;
        case after_401::same_token:
            if (until.left() <= short_wait) co_return answer;
            ++repeats;
            co_await how_.time.pause(short_wait);
            break;
        case after_401::new_token:
            renewed = true;
            desk_.reject(what.identity, cloud_.vault_resource, token);
            break;
        }
    }
}

task<result<fetched>> key_vault::get(secret_ref what, deadline until) {
    SCRATCHD_CO_TRY(auto const at, parse_vault_url(what.vault, cloud_.vault_suffix));
    if (!is_secret_name(what.name)) co_return fail(errc::bad_request, "not the name of a secret in a key vault");
    if (!what.version.empty() && !is_version(what.version))
        co_return fail(errc::bad_request, "not the version of a secret in a key vault");
    auto const subject = fmt::format("{} of {}", what.name, at.authority());
    question ask_for{at,
                     fmt::format("/secrets/{}{}{}?api-version={}", what.name, what.version.empty() ? "" : "/",
                                 what.version, percent_encoded(api_version_)),
                     what.identity};
    auto const answer = co_await send(std::move(ask_for), until);
    if (!answer) co_return std::unexpected(error(answer.error()).while_doing(subject));
    if (answer->status != 200) co_return std::unexpected(vault_error(*answer, subject, cloud_.vault_resource));
    secret_wish const wish{at, what.name, what.version};
    auto found = read_secret_reply(answer->body, wish, how_.time.wall_seconds());
    if (!found) co_return std::unexpected(std::move(found).error().while_doing(subject));
    co_return found;
}

task<result<std::vector<listed_secret>>> key_vault::list(std::string vault, std::string identity, deadline until) {
    SCRATCHD_CO_TRY(auto const at, parse_vault_url(vault, cloud_.vault_suffix));
    std::vector<listed_secret> all;
    auto target = fmt::format("/secrets?maxresults=25&api-version={}", percent_encoded(api_version_));
    for (std::size_t page = 0; !target.empty(); ++page) {
        if (page == most_pages || all.size() > most_listed)
            co_return fail(errc::vault_malformed, fmt::format("the list of {} does not end", at.authority()));
        question ask_for{at, target, identity};
        auto const answer = co_await send(std::move(ask_for), until);
        if (!answer) co_return std::unexpected(answer.error());
        auto const subject = "the list of " + at.authority();
        if (answer->status != 200) co_return std::unexpected(vault_error(*answer, subject, cloud_.vault_resource));
        SCRATCHD_CO_TRY(auto found, read_list_reply(answer->body, at));
        for (auto& item : found.secrets) all.push_back(std::move(item));
        target = std::move(found.next);
    }
    co_return all;
}

}  // namespace scratchd::vault
