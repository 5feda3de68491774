// A server on loopback that says what a test wants, over TLS or in the clear, on a thread of its own.
#pragma once

#include "agent/base/handle.hpp"
#include "tests/support/pki.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

struct ssl_ctx_st;
struct ssl_st;

// One accepted connection. All calls block, at most five seconds.
class connection {
public:
    connection(int fd, ssl_st* tls) : fd_(fd), tls_(tls) {}
    std::string read_request() const;            // up to the empty line and what came with it
    bool write(std::string const& bytes) const;  // false: the peer is gone
    [[nodiscard]] bool peer_leaves_within(int milliseconds) const;
    void reset() const;  // the next close sends RST

private:
    int fd_;
    ssl_st* tls_;
};

struct server_options {
    issued const* certificate = nullptr;  // none: in the clear
    int only_version = 0;                 // TLS1_1_VERSION, ...
    bool is_silent = false;               // accepts, and says nothing
};

class tls_server {
public:
    using behaviour = std::function<void(connection const&)>;

    tls_server(server_options options, behaviour act);
    ~tls_server();
    tls_server(tls_server const&) = delete;
    tls_server& operator=(tls_server const&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] int requests() const { return requests_; }  // connections that came as far as a request

private:
    void serve(int fd);
    void run();

    server_options options_;
    behaviour act_;
    std::shared_ptr<ssl_ctx_st> context_;
    scratchd::unique_fd listening_;
    std::uint16_t port_ = 0;
    std::atomic<int> requests_ = 0;
    std::jthread thread_;
};
