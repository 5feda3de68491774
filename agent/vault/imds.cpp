// Azure's instance metadata service. Source: "How to use managed identities for Azure resources on an Azure VM to
// acquire an access token".
#include "agent/vault/identity.hpp"
#include "agent/vault/identity_reply.hpp"
#include "agent/vault/url.hpp"

namespace scratchd::vault {
namespace {

class imds_identity final : public identity_source {
public:
    imds_identity(identity_config who, identity_tools tools) : who_(std::move(who)), tools_(std::move(tools)) {}

    task<result<access_token>> token(std::string resource, deadline until) override {
        std::string target =
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=" + percent_encoded(resource);
        if (!who_.client_id.empty()) target += "&client_id=" + percent_encoded(who_.client_id);
        if (!who_.object_id.empty()) target += "&object_id=" + percent_encoded(who_.object_id);
        if (!who_.resource_id.empty()) target += "&msi_res_id=" + percent_encoded(who_.resource_id);
        request_maker make = [target]() -> result<outgoing> {
            outgoing request;
            request.to = {"169.254.169.254", 80, false};
            request.target = target;
            request.headers = {{"Metadata", "true"}};
            return request;
        };
        auto const answer = co_await ask(tools_.how, service::identity_endpoint, std::move(make), until);
        if (!answer) co_return std::unexpected(error(answer.error()).while_doing("IMDS"));
        token_wish const wish{std::move(resource), who_.client_id, who_.object_id, who_.resource_id};
        co_return token_from(*answer, wish, tools_.how.time, "IMDS");
    }

private:
    identity_config who_;
    identity_tools tools_;
};

}  // namespace

std::shared_ptr<identity_source> make_imds_identity(identity_config const& who, identity_tools tools) {
    return std::make_shared<imds_identity>(who, std::move(tools));
}

}  // namespace scratchd::vault
