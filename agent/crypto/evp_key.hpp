// OpenSSL keys made from numbers, and their ssh names: what private and public ssh keys share.
#pragma once

#include "agent/base/error.hpp"
#include "agent/crypto/ssh_wire.hpp"

#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace scratchd {

using evp_key = std::shared_ptr<evp_pkey_st>;

// Smaller is broken, larger costs seconds of processor time a signature.
inline constexpr int smallest_rsa_bits = 2048;
inline constexpr int largest_rsa_bits = 8192;

struct rsa_numbers {
    bytes_view n;
    bytes_view e;
    // private; all empty: a public key
    bytes_view d;
    bytes_view p;
    bytes_view q;
    bytes_view q_inverse;
};

// `kind` says in errors whose key it is. credential_format for numbers that are no key.
result<evp_key> make_rsa(rsa_numbers const& numbers);
// `curve` as ssh names it: "nistp256". Without `scalar` a public key.
result<evp_key> make_ec(std::string_view curve, bytes_view point, bytes_view scalar = {});
result<evp_key> make_ed25519_private(bytes_view seed);
result<evp_key> make_ed25519_public(bytes_view point);

struct ssh_public {
    std::string type;  // "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"
    std::string blob;  // RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4
};

// credential_format: a kind, curve or size that is not served.
result<ssh_public> describe(evp_key const& key);

// "SHA256:..." as `ssh-keygen -l` prints it, of a public key's blob.
result<std::string> ssh_fingerprint(std::string_view blob);

}  // namespace scratchd
