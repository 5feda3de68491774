// Secrets of an Azure Key Vault, by name or version, and the list of them. Source: "Azure Key Vault REST API
// reference".
#pragma once

#include "agent/vault/ask.hpp"
#include "agent/vault/cloud.hpp"
#include "agent/vault/provider.hpp"
#include "agent/vault/secret_reply.hpp"
#include "agent/vault/token_desk.hpp"

#include <string>
#include <vector>

namespace scratchd::vault {

class key_vault {
public:
    // `desk` outlives it.
    key_vault(asking how, cloud names, std::string api_version, token_desk& desk);

    // The token goes with the first request: what it is for is known from the configuration. Errors: those of
    // provider::fetch; bad_request for a name or version that no vault has.
    task<result<fetched>> get(secret_ref what, deadline until);

    // Names and dates, no values; at most 10,000.
    task<result<std::vector<listed_secret>>> list(std::string vault, std::string identity, deadline until);

private:
    struct question {
        endpoint to;
        std::string target;
        std::string identity;
    };
    task<result<incoming>> send(question what, deadline until);
    task<result<incoming>> send_with(shared_token token, question const& what, deadline until);

    asking how_;
    cloud cloud_;
    std::string api_version_;
    token_desk& desk_;
};

}  // namespace scratchd::vault
