// The node's own keys, made at first start: one seed, from which all others are derived.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"
#include "agent/crypto/signing.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace scratchd {

class node_identity {
public:
    // Reads STATE/node.key (32 bytes, root, 0400), or makes it, and STATE/records/node.pub beside the records. A key
    // file that others may read is state_insecure.
    static result<node_identity> load(std::filesystem::path const& state);

    [[nodiscard]] signing_key const& signer() const { return signer_; }
    // SHA-256 of the public key: the node's name in records.
    [[nodiscard]] std::string const& fingerprint() const { return fingerprint_; }
    // True when this start made the key: nothing on this node was signed before.
    [[nodiscard]] bool is_new() const { return is_new_; }

    // Keyed hashes, each under a key of its own.
    [[nodiscard]] result<std::string> key_fingerprint(secret const& volume_key) const;
    [[nodiscard]] result<std::string> pseudonym(std::string_view job) const;
    [[nodiscard]] result<std::string> journal_mac(std::string_view line) const;

private:
    explicit node_identity(signing_key signer) : signer_(std::move(signer)) {}
    signing_key signer_;
    std::string fingerprint_;
    bool is_new_ = false;
    secret fingerprint_key_;
    secret pseudonym_key_;
    secret journal_key_;
};

}  // namespace scratchd
