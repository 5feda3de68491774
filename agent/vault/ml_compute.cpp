// The identity endpoint of Azure ML compute, in the form that MSI_ENDPOINT and MSI_SECRET have elsewhere. The secret
// comes from a file of root instead of the environment. Source: msal-node 5, MachineLearning.ts.
#include "agent/vault/identity.hpp"
#include "agent/vault/identity_reply.hpp"
#include "agent/vault/request_text.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

constexpr std::string_view place = "the ML compute endpoint";

class ml_identity final : public identity_source {
public:
    ml_identity(link at, identity_config who, identity_tools tools)
        : at_(std::move(at)), who_(std::move(who)), tools_(std::move(tools)) {}

    task<result<access_token>> token(std::string resource, deadline until) override {
        auto proof = co_await tools_.read(who_.secret_file);
        if (!proof) co_return std::unexpected(std::move(proof).error());
        trim_newline(*proof);
        if (!is_header_safe(text_of(*proof)))
            co_return fail(errc::credential_format, who_.secret_file + " holds no endpoint secret");
        // No underscore in clientid, here alone.
        auto const target =
            fmt::format("{}?api-version=2017-09-01&resource={}{}", at_.path, percent_encoded(resource),
                        who_.client_id.empty() ? std::string() : "&clientid=" + percent_encoded(who_.client_id));
        request_maker make = [this, &target, &proof]() -> result<outgoing> {
            outgoing request;
            request.to = at_.to;
            request.target = target;
            request.headers = {{"Metadata", "true"}};
            request.proof_name = "secret";
            SCRATCHD_TRY(request.proof, joined({text_of(*proof)}));
            return request;
        };
        auto const answer = co_await ask(tools_.how, service::identity_endpoint, std::move(make), until);
        if (!answer) co_return std::unexpected(error(answer.error()).while_doing(place));
        token_wish const wish{std::move(resource), who_.client_id, {}, {}};
        co_return token_from(*answer, wish, tools_.how.time, place);
    }

private:
    link at_;
    identity_config who_;
    identity_tools tools_;
};

}  // namespace

result<std::shared_ptr<identity_source>> make_ml_identity(identity_config const& who, identity_tools tools) {
    auto at = parse_link(who.endpoint);
    if (!at || !at->query.empty() || (!at->to.tls && !is_local(at->to.host)))
        return fail(errc::config_value, fmt::format("[[identity]] {}: endpoint is no URL of this machine", who.name));
    if (who.secret_file.empty())
        return fail(errc::config_value, fmt::format("[[identity]] {}: secret_file is missing", who.name));
    return std::make_shared<ml_identity>(*std::move(at), who, std::move(tools));
}

}  // namespace scratchd::vault
