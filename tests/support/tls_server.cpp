#include "tests/support/tls_server.hpp"

#include "tests/support/catch.hpp"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <csignal>

std::string connection::read_request() const {
    std::string all;
    char buffer[4096];
    while (all.find("\r\n\r\n") == std::string::npos) {
        auto const n = tls_ != nullptr ? SSL_read(tls_, buffer, sizeof buffer)
                                       : static_cast<int>(::recv(fd_, buffer, sizeof buffer, 0));
        if (n <= 0) break;
        all.append(buffer, static_cast<std::size_t>(n));
    }
    return all;
}

bool connection::write(std::string const& bytes) const {
    for (std::size_t at = 0; at < bytes.size();) {
        auto const left = static_cast<int>(std::min<std::size_t>(bytes.size() - at, 65536));
        auto const n =
            tls_ != nullptr
                ? SSL_write(tls_, bytes.data() + at, left)
                : static_cast<int>(::send(fd_, bytes.data() + at, static_cast<std::size_t>(left), MSG_NOSIGNAL));
        if (n <= 0) return false;
        at += static_cast<std::size_t>(n);
    }
    return true;
}

bool connection::peer_leaves_within(int milliseconds) const {
    pollfd watched{fd_, POLLRDHUP, 0};
    return ::poll(&watched, 1, milliseconds) != 0;
}

void connection::reset() const {
    linger const now{1, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

tls_server::tls_server(server_options options, behaviour act) : options_(options), act_(std::move(act)) {
    (void)std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    if (options_.certificate != nullptr) {
        context_.reset(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
        SSL_CTX_set_security_level(context_.get(), 0);
        SSL_CTX_set_min_proto_version(context_.get(), options_.only_version);
        SSL_CTX_set_max_proto_version(context_.get(), options_.only_version);
        REQUIRE(SSL_CTX_use_certificate(context_.get(), options_.certificate->certificate.get()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey(context_.get(), options_.certificate->key.get()) == 1);
    }
    listening_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listening_.get(), 16) == 0);
    REQUIRE(::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { run(); });
}

tls_server::~tls_server() {
    (void)::shutdown(listening_.get(), SHUT_RDWR);
}

void tls_server::run() {
    for (;;) {
        scratchd::unique_fd const fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd) return;
        timeval const limit{5, 0};
        (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (options_.is_silent) (void)connection(fd.get(), nullptr).peer_leaves_within(5000);
        else serve(fd.get());
    }
}

void tls_server::serve(int fd) {
    if (!context_) {
        ++requests_;
        return act_(connection(fd, nullptr));
    }
    std::unique_ptr<SSL, void (*)(SSL*)> const tls(SSL_new(context_.get()), SSL_free);
    SSL_set_fd(tls.get(), fd);
    if (SSL_accept(tls.get()) != 1) return;
    ++requests_;
    act_(connection(fd, tls.get()));
}
