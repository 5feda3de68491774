#include "agent/ipc/http_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

namespace scratchd::ipc {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::size_t largest_reply = 16U << 20U;

std::unexpected<error> refused(boost::system::error_code ec, std::string const& socket) {
    bool const denied = ec == boost::system::errc::permission_denied;
    return fail(denied ? errc::not_permitted : errc::daemon_unreachable, socket, ec.value());
}

}  // namespace

result<response> send(std::filesystem::path const& path, call const& what) {
    asio::io_context context(1);
    asio::local::stream_protocol::socket socket(context);
    boost::system::error_code ec;
    socket.connect({path.string()}, ec);
    if (ec) return refused(ec, path.string());

    http::request<http::string_body> message(http::string_to_verb(what.method), what.path, 11, what.body);
    message.set(http::field::host, "scratchd");
    if (!what.body.empty()) message.set(http::field::content_type, "application/json");
    message.keep_alive(false);
    message.prepare_payload();
    http::write(socket, message, ec);
    if (ec) return fail(errc::daemon_unreachable, "send to " + path.string(), ec.value());

    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(largest_reply);
    std::optional<boost::system::error_code> done;
    http::async_read(socket, buffer, parser, [&](boost::system::error_code problem, std::size_t) { done = problem; });
    context.run_for(what.limit);
    if (!done) return fail(errc::timed_out, "no answer from scratchd in time");
    if (*done == http::error::end_of_stream) return fail(errc::daemon_unreachable, "scratchd closed the connection");
    if (*done) return fail(errc::bad_reply, "answer from scratchd: " + done->message());
    auto& reply = parser.get();
    return response{static_cast<int>(reply.result_int()), std::string(reply[http::field::content_type]),
                    std::move(reply.body())};
}

}  // namespace scratchd::ipc
