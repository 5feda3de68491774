#include "agent/vault/net_transport.hpp"

#include "agent/vault/request_text.hpp"
#include "agent/vault/secret_text.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

namespace scratchd::vault {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tls_stream = asio::ssl::stream<beast::tcp_stream>;
using response_parser = http::response_parser<http::buffer_body>;

namespace {

constexpr auto use_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t window_bytes = 2 * header_bytes;
constexpr std::size_t first_body_bytes = 16384;

// ChaCha20 first: its keys leave no AES schedule in memory.
constexpr char const* suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
constexpr char const* suites_1_2 = "ECDHE+CHACHA20:ECDHE+AESGCM";

result<> set_up(asio::ssl::context& context, std::string const& ca_file) {
    SSL_CTX* const raw = context.native_handle();
    if (SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) != 1 || SSL_CTX_set_ciphersuites(raw, suites) != 1 ||
        SSL_CTX_set_cipher_list(raw, suites_1_2) != 1)
        return fail(errc::internal, "TLS options");
    // Received plaintext is wiped as soon as it was handed on; no session outlives its connection.
    SSL_CTX_set_options(raw,
                        SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
    boost::system::error_code ec;
    if (ca_file.empty()) context.set_default_verify_paths(ec);
    else context.load_verify_file(ca_file, ec);
    if (ec) return fail(errc::config_value, "certificate authorities of " + (ca_file.empty() ? "the system" : ca_file));
    return {};
}

std::unexpected<error> broken(std::string const& name, char const* step, boost::system::error_code ec) {
    if (ec == beast::error::timeout) return fail(errc::timed_out, fmt::format("{}: {}: no answer in time", name, step));
    bool const is_system = ec.category() == boost::system::system_category();
    return fail(errc::vault_unreachable,
                is_system ? fmt::format("{}: {}", name, step) : fmt::format("{}: {}: {}", name, step, ec.message()),
                is_system ? ec.value() : 0);
}

std::unexpected<error> not_trusted(tls_stream& stream, std::string const& name, boost::system::error_code ec) {
    long const verdict = SSL_get_verify_result(stream.native_handle());
    if (verdict != X509_V_OK)
        return fail(errc::vault_untrusted, fmt::format("{}: {}", name, X509_verify_cert_error_string(verdict)));
    if (ec.category() == asio::error::get_ssl_category())
        return fail(errc::vault_untrusted, fmt::format("{}: TLS: {}", name, ec.message()));
    return broken(name, "TLS", ec);
}

std::unexpected<error> not_read(std::string const& name, boost::system::error_code ec, std::size_t limit) {
    if (ec == http::error::body_limit)
        return fail(errc::vault_malformed, fmt::format("{}: an answer of more than {} bytes", name, limit));
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
        return fail(errc::vault_malformed, fmt::format("{}: a header of more than {} bytes", name, header_bytes));
    bool const was_cut = ec == http::error::partial_message || ec == http::error::end_of_stream;
    if (!was_cut && ec.category() == http::make_error_code(http::error::bad_value).category())
        return fail(errc::vault_malformed, fmt::format("{}: not HTTP: {}", name, ec.message()));
    return broken(name, "read", ec);
}

task<result<>> connect(beast::tcp_stream& stream, endpoint const& to, resolver by, deadline until) {
    auto const name = to.authority();
    boost::system::error_code ec;
    std::vector<std::string> found = {to.host == "localhost" ? "127.0.0.1" : to.host};
    (void)asio::ip::make_address(found.front(), ec);
    if (ec) {
        auto looked_up = co_await look_up(to.host, std::move(by), until);
        if (!looked_up) co_return std::unexpected(std::move(looked_up).error());
        found = *std::move(looked_up);
    }
    for (auto left = found.size(); auto const& text : found) {
        auto const address = asio::ip::make_address(text, ec);
        if (ec) continue;
        // A share of the time for each: an address that swallows packets does not cost the others theirs.
        stream.expires_after(until.left() / static_cast<long>(left--));
        auto [problem] = co_await stream.async_connect(asio::ip::tcp::endpoint(address, to.port), use_result);
        ec = problem;
        if (!ec) break;
    }
    if (ec) co_return broken(name, "connect", ec);
    stream.expires_after(until.left());  // from here on for all that follows
    co_return result<>();
}

task<result<>> shake_hands(tls_stream& stream, std::string const& host, std::string const& name) {
    SSL* const raw = stream.native_handle();
    SSL_set_hostflags(raw, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set_tlsext_host_name(raw, host.c_str()) != 1 || SSL_set1_host(raw, host.c_str()) != 1)
        co_return fail(errc::internal, "TLS host name");
    auto [ec] = co_await stream.async_handshake(asio::ssl::stream_base::client, use_result);
    if (ec) co_return not_trusted(stream, name, ec);
    co_return result<>();
}

result<incoming> take_header(response_parser& parser, std::string const& name) {
    auto const& head = parser.get();
    auto const encoding = head[http::field::content_encoding];
    if (!encoding.empty() && !beast::iequals(encoding, "identity"))
        return fail(errc::vault_malformed, fmt::format("{}: a compressed answer that nobody asked for", name));
    incoming out;
    out.status = static_cast<int>(head.result_int());
    auto const [first, last] = head.equal_range(http::field::www_authenticate);
    for (auto at = first; at != last; ++at) out.challenges.emplace_back(at->value());
    out.retry_after = std::string(head[http::field::retry_after]);
    out.retry_after_ms = std::string(head["retry-after-ms"]);
    if (out.retry_after_ms.empty()) out.retry_after_ms = std::string(head["x-ms-retry-after-ms"]);
    return out;
}

template <class Stream>
task<result<incoming>> receive(Stream& stream, std::size_t limit, std::string const& name) {
    SCRATCHD_CO_TRY(auto window, secret::make(window_bytes));  // pieces of the body pass through it
    beast::flat_static_buffer_base buffer(window.bytes().data(), window.size());
    response_parser parser;
    parser.header_limit(header_bytes);
    parser.body_limit(limit);
    auto [problem, header_size] = co_await http::async_read_header(stream, buffer, parser, use_result);
    (void)header_size;
    if (problem) co_return not_read(name, problem, limit);
    SCRATCHD_CO_TRY(auto out, take_header(parser, name));
    auto const announced = parser.content_length();
    SCRATCHD_CO_TRY(out.body, secret::make(announced ? std::min<std::size_t>(*announced, limit) : first_body_bytes));
    std::size_t used = 0;
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = out.body.bytes().data() + used;
        body.size = out.body.size() - used;
        auto [ec, size] = co_await http::async_read(stream, buffer, parser, use_result);
        (void)size;
        used = out.body.size() - parser.get().body().size;
        if (ec && ec != http::error::need_buffer) co_return not_read(name, ec, limit);
        if (!ec) continue;
        auto const room = std::min(limit, out.body.size() * 2);
        if (room == out.body.size()) co_return not_read(name, http::error::body_limit, limit);
        SCRATCHD_CO_TRY(out.body, enlarged(std::move(out.body), room));
    }
    out.body.truncate(used);
    co_return out;
}

template <class Stream>
task<result<incoming>> converse(Stream& stream, secret const& request, std::size_t limit, std::string const& name) {
    auto [ec, size] =
        co_await asio::async_write(stream, asio::buffer(request.bytes().data(), request.size()), use_result);
    (void)size;
    if (ec) co_return broken(name, "send", ec);
    auto answer = co_await receive(stream, limit, name);
    co_return answer;
}

class net_transport final : public transport {
public:
    explicit net_transport(net_options options) : options_(std::move(options)) {}
    result<> set_up_tls() { return set_up(context_, options_.ca_file); }

private:
    task<result<incoming>> send(outgoing what, deadline until) override {
        auto const name = what.to.authority();
        if (until.passed()) co_return fail(errc::timed_out, name + ": no time left");
        SCRATCHD_CO_TRY(auto const request, request_text(what));
        beast::tcp_stream plain(co_await asio::this_coro::executor);
        auto connected = co_await connect(plain, what.to, options_.resolve, until);
        if (!connected) co_return std::unexpected(std::move(connected).error());
        if (!what.to.tls) {
            auto answer = co_await converse(plain, request, what.body_limit, name);
            co_return answer;
        }
        tls_stream stream(std::move(plain), context_);
        auto proven = co_await shake_hands(stream, what.to.host, name);
        if (!proven) co_return std::unexpected(std::move(proven).error());
        // No farewell: the answer has its length, and the socket is closed at once.
        auto answer = co_await converse(stream, request, what.body_limit, name);
        co_return answer;
    }

    net_options options_;
    asio::ssl::context context_{asio::ssl::context::tls_client};
};

}  // namespace

result<std::unique_ptr<transport>> make_net_transport(net_options options) {
    auto made = std::make_unique<net_transport>(std::move(options));
    SCRATCHD_CHECK(made->set_up_tls());
    return made;
}

}  // namespace scratchd::vault
