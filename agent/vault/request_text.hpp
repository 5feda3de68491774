// A request as it goes over the wire (RFC 9112).
#pragma once

#include "agent/vault/exchange.hpp"

namespace scratchd::vault {

// The whole of it in locked memory: it holds the proof and the body. Errors: internal for what would break out of its
// line; vault_untrusted for a host that may not be asked without TLS.
result<secret> request_text(outgoing const& request);

// 169.254.169.254 and this machine itself: there alone a request may go in the clear.
bool is_local(std::string_view host) noexcept;

}  // namespace scratchd::vault
