// What a vault's refusal means. The decision is by error.code and error.innererror.code, never by the message
// ("Key Vault REST API error codes").
#pragma once

#include "agent/vault/exchange.hpp"

#include <string>
#include <string_view>

namespace scratchd::vault {

// AKV10046: the vault could not resolve the key of the token's signature. It passes by itself.
bool is_key_unresolved(incoming const& answer);

// The error of any answer but 200. `subject` names vault and secret; `resource` is what the token was for. Only codes
// that are known here get into its words.
error vault_error(incoming const& answer, std::string_view subject, std::string_view resource);

}  // namespace scratchd::vault
