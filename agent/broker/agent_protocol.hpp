// The ssh-agent protocol for one connection: a frame in, a frame out, no sockets.
//
// Sources: draft-ietf-sshm-ssh-agent (RFC 9987) for the messages; OpenSSH's PROTOCOL.agent, section 1, for
// session-bind@openssh.com; PROTOCOL, section 2.7, for hostbound authentication; RFC 4252, section 7, for what a
// login signs; PROTOCOL.sshsig for what git signs.
//
// Lists and signs; adding, removing, locking, smartcards and constraints are answered with FAILURE (5), unknown
// extensions too, a session-bind that does not hold with EXTENSION_FAILURE (28).
//
// What is signed:
//   - nothing on a connection that was bound for forwarding: a host further away would log in as the job. It is shown
//     no keys either. Nor on one whose binding did not verify: what it was for is unknown.
//   - with `hosts` set, only a login (userauth) to the host that the connection is bound to, if that host's key is in
//     the list, and if the login itself names the same key where it names one.
//   - without `hosts`, whatever is asked, as ssh-agent does: logins, and signatures of git.
#pragma once

#include "agent/broker/key_ring.hpp"
#include "agent/crypto/ssh_public_key.hpp"

#include <functional>
#include <optional>
#include <string>

namespace scratchd::broker {

// One request for a signature and what became of it, for the audit log.
struct agent_event {
    std::string credential;    // empty: no such key
    std::string user;          // who the login would be; empty: no login. Chosen by the caller, at most 64 bytes
    std::string host;          // fingerprint of the host the connection is bound to; empty: not bound
    std::string_view refusal;  // why it was refused; empty: it was signed
};
using agent_audit = std::function<void(agent_event const&)>;

class agent_connection {
public:
    // `keys` outlives it.
    explicit agent_connection(key_ring& keys, agent_audit audit = {}) : keys_(keys), audit_(std::move(audit)) {}

    // bad_request for an empty frame; everything else has an answer. Nothing in it is secret.
    result<std::string> answer(bytes_view frame);

private:
    struct binding {
        std::string session;
        std::string host_blob;
        std::string fingerprint;
    };
    struct login;

    std::string list();
    std::string sign(wire_reader& in);
    std::string extension(wire_reader& in);
    bool bind(wire_reader& in);
    [[nodiscard]] std::string_view refusal(ring_key const& key, std::optional<login> const& wanted) const;
    static std::optional<login> read_login(bytes_view data, std::string_view key_blob);

    key_ring& keys_;
    agent_audit audit_;
    std::vector<binding> bindings_;  // all but the last are of forwarding
    bool is_forwarded_ = false;
    bool is_bound_for_login_ = false;
    bool has_bad_binding_ = false;
};

}  // namespace scratchd::broker
