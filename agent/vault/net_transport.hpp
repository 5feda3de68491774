// The transport over the network: own name lookup, TCP, TLS 1.2 or 1.3, HTTP/1.1, one exchange a connection.
//
// The other end proves its name by a certificate below the system's authorities, or below those of `ca_file` alone.
// The deadline holds for the exchange as a whole: whoever drips a byte a second does not get more time.
#pragma once

#include "agent/vault/exchange.hpp"
#include "agent/vault/lookup.hpp"

#include <memory>
#include <string>

namespace scratchd::vault {

struct net_options {
    std::string ca_file;  // PEM; empty: the system's
    resolver resolve = system_resolver;
};

// Errors: config_value when ca_file cannot be read.
result<std::unique_ptr<transport>> make_net_transport(net_options options);

}  // namespace scratchd::vault
