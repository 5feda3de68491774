// The two kinds of vault there are. broker/app.cpp picks one by [broker] provider.
#pragma once

#include "agent/config/broker_config.hpp"
#include "agent/vault/exchange.hpp"
#include "agent/vault/provider.hpp"
#include "agent/vault/timing.hpp"

#include <memory>
#include <vector>

namespace scratchd::vault {

// Azure Key Vault. Simultaneous calls for the same secret cost one request; nothing is kept beyond it but tokens.
// `net` and `time` outlive the event loop's run. Without identities there is one: "default", source "imds". Errors:
// config_value.
result<std::unique_ptr<provider>> make_azure_provider(broker_config const& config,
                                                      std::vector<identity_config> identities, transport& net,
                                                      timing& time, source_reader const& read);

// Files of root: the value is the file without one newline at its end, 1 byte to 1 MiB. A name has 1 to 127 of
// [0-9A-Za-z._-] and begins with no dot. Versions there are none.
std::unique_ptr<provider> make_directory_provider(source_reader read);

// A secret's name in that provider: also what an operator is told when it is none.
bool is_file_name(std::string_view name) noexcept;

}  // namespace scratchd::vault
