// A public ssh key as it comes over the wire, to check a host's signature with.
#pragma once

#include "agent/crypto/evp_key.hpp"

namespace scratchd {

class ssh_public_key {
public:
    // Ed25519, RSA of 2048 to 8192 bits, ECDSA; also a certificate of one (PROTOCOL.certkeys), whose key is then
    // meant: who signed the certificate is not looked at. credential_format for everything else.
    static result<ssh_public_key> parse(bytes_view blob);

    // `signature` in wire form: string algorithm, string value. RSA with SHA-1 never verifies.
    [[nodiscard]] bool verify(bytes_view message, bytes_view signature) const;
    // Of the plain key, also for a certificate: what `ssh-keygen -l` and known_hosts people compare.
    [[nodiscard]] std::string const& fingerprint() const { return fingerprint_; }

private:
    ssh_public_key(evp_key key, std::string type, std::string fingerprint)
        : key_(std::move(key)), type_(std::move(type)), fingerprint_(std::move(fingerprint)) {}
    evp_key key_;
    std::string type_;
    std::string fingerprint_;
};

}  // namespace scratchd
