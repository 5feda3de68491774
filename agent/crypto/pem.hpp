// The textual form of keys (RFC 7468, RFC 1421), decoded from locked memory into locked memory.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <string>

namespace scratchd {

struct pem_block {
    std::string label;  // "OPENSSH PRIVATE KEY"
    secret body;
};

// The first block whose label ends in PRIVATE KEY. credential_format: there is none, its base64 is broken, or it is
// encrypted with a passphrase, which nobody could type in here.
result<pem_block> read_private_pem(secret const& text);

}  // namespace scratchd
