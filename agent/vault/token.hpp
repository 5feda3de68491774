// An access token, and how the replies of the several endpoints become one.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"
#include "agent/vault/timing.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace scratchd::vault {

struct access_token {
    secret value;
    timing::clock::time_point refresh;  // from here on a new one is fetched while this one still serves
    timing::clock::time_point expires;
};
using shared_token = std::shared_ptr<access_token const>;

// What the token must be for. At most one of the three ids is set; none: whatever the machine's identity is.
struct token_wish {
    std::string resource;
    std::string client_id;
    std::string object_id;
    std::string resource_id;
};

// A 200 of IMDS, Arc, the ML endpoint or Entra: numbers as strings or as numbers, expires_on in every form of
// parse_any_date. Where an identity was named, the reply must show that it was honoured, by its echo or by the claims
// of the token (appid, oid, xms_mirid): Azure Arc is known to answer with the system's identity when it does not know
// the selector. Errors: vault_malformed, identity_refused; `place` names the endpoint.
result<access_token> read_token_reply(secret const& body, token_wish const& wish, timing const& time,
                                      std::string_view place);

}  // namespace scratchd::vault
