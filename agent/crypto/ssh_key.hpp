// A private ssh key that signs: Ed25519, RSA, ECDSA.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"
#include "agent/crypto/ssh_wire.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace scratchd {

// Flags of a signing request (PROTOCOL.agent 4.5.1, RFC 8332). They matter to RSA only.
inline constexpr std::uint32_t sign_rsa_sha2_256 = 2;
inline constexpr std::uint32_t sign_rsa_sha2_512 = 4;

class ssh_key {
public:
    // private_key.hpp says which forms. A key whose private part does not belong to its public part is refused.
    // credential_format; never a byte of the key in the words.
    static result<ssh_key> parse(secret const& text);
    ssh_key(ssh_key&&) noexcept;
    ssh_key& operator=(ssh_key&&) noexcept;
    ~ssh_key();

    [[nodiscard]] std::string const& type() const;         // "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"
    [[nodiscard]] std::string const& blob() const;         // the public key in wire form
    [[nodiscard]] std::string const& fingerprint() const;  // "SHA256:..."

    // The signature in wire form: string algorithm, string value. RSA without one of the flags would be SHA-1: refused
    // (bad_request). Everything that does not depend on `data` was done by parse(). Not from two threads at once.
    [[nodiscard]] result<std::string> sign(bytes_view data, std::uint32_t flags) const;

private:
    struct state;
    explicit ssh_key(std::unique_ptr<state> made);
    std::unique_ptr<state> state_;
};

}  // namespace scratchd
