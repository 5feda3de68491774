// What the answer of an identity endpoint means.
#pragma once

#include "agent/vault/exchange.hpp"
#include "agent/vault/token.hpp"

#include <string_view>

namespace scratchd::vault {

// The token of a 200, or the error that the status stands for. `place` names the endpoint. Of the body only known codes
// and the service's own request ids get into an error, never its words: they may repeat what was sent.
result<access_token> token_from(incoming const& answer, token_wish const& wish, timing const& time,
                                std::string_view place);

}  // namespace scratchd::vault
