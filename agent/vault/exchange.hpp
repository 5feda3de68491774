// The seam to the network: one HTTP exchange, bounded in bytes and in time, that goes to one host and nowhere else.
//
// No redirect is followed, no proxy is asked, no cookie kept, nothing compressed, whatever stands behind this seam.
#pragma once

#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"
#include "agent/ipc/task.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace scratchd::vault {

struct endpoint {
    std::string host;  // lower case, without a trailing dot
    std::uint16_t port = 443;
    bool tls = true;  // without: only the link-local identity endpoint and loopback

    friend bool operator==(endpoint const&, endpoint const&) = default;
    // As it stands in a Host header: the port only where it is not the scheme's.
    [[nodiscard]] std::string authority() const;
};

struct header {
    std::string name;
    std::string value;
};

constexpr std::size_t token_body_bytes = 65536;
constexpr std::size_t vault_body_bytes = 1U << 20U;
constexpr std::size_t header_bytes = 16384;

struct outgoing {
    std::string method = "GET";
    endpoint to;
    std::string target;           // path and query, percent-encoded
    std::vector<header> headers;  // none of them a secret
    std::string proof_name;       // the header that carries `proof`; empty: none
    secret proof;                 // "Bearer ..."
    std::string body_type;        // Content-Type of `body`
    secret body;
    std::size_t body_limit = token_body_bytes;  // of the answer
};

struct incoming {
    int status = 0;
    std::vector<std::string> challenges;  // each WWW-Authenticate
    std::string retry_after;              // Retry-After: seconds or an HTTP date
    std::string retry_after_ms;           // retry-after-ms or x-ms-retry-after-ms
    secret body;
};

class transport {
public:
    virtual ~transport() = default;

    // Errors: vault_unreachable (no name, no connection, broken off), vault_untrusted (TLS, a redirect),
    // vault_malformed (no HTTP, more than allowed), timed_out. They name the host and the reason, never what was sent
    // or received.
    task<result<incoming>> exchange(outgoing what, deadline until);

private:
    virtual task<result<incoming>> send(outgoing what, deadline until) = 0;
};

}  // namespace scratchd::vault
