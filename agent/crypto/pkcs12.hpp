// Managed certificates: Key Vault hands out a PKCS #12 file without a password, programs want PEM.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <cstddef>
#include <span>

namespace scratchd {

// The private key as PKCS #8, then its certificate, then the others of the file. Errors: credential_format.
result<secret> pkcs12_to_pem(std::span<std::byte const> der);

}  // namespace scratchd
