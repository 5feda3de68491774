// Azure Arc's local identity endpoint: it names a file that only its group can read, and gives the token to who shows
// what stands in it. Source: azure-sdk-for-cpp, managed_identity_source.cpp; "Authenticate against Azure resources
// with Azure Arc-enabled servers".
#include "agent/vault/challenge.hpp"
#include "agent/vault/identity.hpp"
#include "agent/vault/identity_reply.hpp"
#include "agent/vault/request_text.hpp"
#include "agent/vault/secret_file.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

constexpr std::string_view usual_endpoint = "http://127.0.0.1:40342/metadata/identity/oauth2/token";

class arc_identity final : public identity_source {
public:
    arc_identity(link at, identity_config who, identity_tools tools)
        : at_(std::move(at)), who_(std::move(who)), tools_(std::move(tools)) {}

    task<result<access_token>> token(std::string resource, deadline until) override {
        auto const target =
            fmt::format("{}?api-version=2020-06-01&resource={}{}", at_.path, percent_encoded(resource),
                        who_.resource_id.empty() ? std::string() : "&msi_res_id=" + percent_encoded(who_.resource_id));
        auto const asked = co_await send(target, nullptr, until);
        if (!asked) co_return std::unexpected(error(asked.error()).while_doing("Azure Arc"));
        token_wish const wish{std::move(resource), {}, {}, who_.resource_id};
        if (asked->status == 200) co_return fail(errc::vault_untrusted, "Azure Arc asks for no proof");
        auto const file = asked->status == 401 ? arc_realm(asked->challenges) : std::nullopt;
        if (!file) co_return token_from(*asked, wish, tools_.how.time, "Azure Arc");
        SCRATCHD_CO_TRY(auto proof, read_arc_challenge(*file, tools_.arc_folder));
        trim_newline(proof);
        if (!is_header_safe(text_of(proof)))
            co_return fail(errc::vault_malformed, "Azure Arc's challenge file holds no token");
        auto const answer = co_await send(target, &proof, until);
        if (!answer) co_return std::unexpected(error(answer.error()).while_doing("Azure Arc"));
        co_return token_from(*answer, wish, tools_.how.time, "Azure Arc");
    }

private:
    task<result<incoming>> send(std::string target, secret const* proof, deadline until) {
        request_maker make = [this, target, proof]() -> result<outgoing> {
            outgoing request;
            request.to = at_.to;
            request.target = target;
            request.headers = {{"Metadata", "true"}};
            if (proof == nullptr) return request;
            request.proof_name = "Authorization";
            SCRATCHD_TRY(request.proof, joined({"Basic ", text_of(*proof)}));
            return request;
        };
        auto answer = co_await ask(tools_.how, service::identity_endpoint, std::move(make), until);
        co_return answer;
    }

    link at_;
    identity_config who_;
    identity_tools tools_;
};

}  // namespace

result<std::shared_ptr<identity_source>> make_arc_identity(identity_config const& who, identity_tools tools) {
    auto at = parse_link(who.endpoint.empty() ? usual_endpoint : who.endpoint);
    if (!at || !at->query.empty() || (!at->to.tls && !is_local(at->to.host)))
        return fail(errc::config_value, fmt::format("[[identity]] {}: endpoint is no URL of this machine", who.name));
    return std::make_shared<arc_identity>(*std::move(at), who, std::move(tools));
}

}  // namespace scratchd::vault
