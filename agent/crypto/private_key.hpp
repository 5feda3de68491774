// Private keys in every form that people keep them in, from locked memory.
#pragma once

#include "agent/base/secret.hpp"
#include "agent/crypto/evp_key.hpp"

namespace scratchd {

// PEM of openssh-key-v1 (PROTOCOL.key), PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 A.1.2) or SEC1 (RFC 5915), not encrypted.
// credential_format says which of these it is not. The key's bytes are copied into OpenSSL's memory only.
result<evp_key> read_private_key(secret const& text);

}  // namespace scratchd
