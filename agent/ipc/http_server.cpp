#include "agent/ipc/http_server.hpp"

#include "agent/ipc/peer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <map>

namespace scratchd::ipc {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using unix_socket = asio::local::stream_protocol;
using stream = beast::basic_stream<unix_socket>;
using task = asio::awaitable<void>;

namespace {

constexpr std::size_t header_bytes = 8192;
constexpr auto write_time = std::chrono::seconds(10);
constexpr auto use_result = asio::as_tuple(asio::use_awaitable);

// An exception here is a bug or the end of memory: it leaves loop::run() and ends the process.
constexpr auto or_die = [](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
};

request take(http::request<http::string_body>& from, peer who) {
    std::string target(from.target());
    auto const mark = target.find('?');
    return {std::string(from.method_string()), target.substr(0, mark),
            mark == std::string::npos ? "" : target.substr(mark + 1), std::move(from.body()), std::move(who)};
}

// Boost 1.81 has no channel that fits: a timer that is cancelled when the answer is there.
class answer_slot {
public:
    explicit answer_slot(asio::any_io_executor on) : ready_(on, asio::steady_timer::time_point::max()) {}
    void set(response r) {
        value_ = std::move(r);
        ready_.cancel();
    }
    asio::awaitable<response> wait() {
        while (!value_) {
            auto [ec] = co_await ready_.async_wait(use_result);
            (void)ec;
        }
        co_return *std::move(value_);
    }

private:
    asio::steady_timer ready_;
    std::optional<response> value_;
};

}  // namespace

struct http_server::state : std::enable_shared_from_this<state> {
    state(loop& on, unique_fd listening, server_limits bounds, handler answer)
        : acceptor(on.context(), unix_socket(), listening.release()), limits(bounds), handle(std::move(answer)) {}

    unix_socket::acceptor acceptor;
    server_limits limits;
    handler handle;
    std::size_t open = 0;
    std::map<uid_t, std::size_t> open_by_user;

    task accept() {
        auto self = shared_from_this();
        for (;;) {
            auto [ec, socket] = co_await acceptor.async_accept(use_result);
            if (ec == asio::error::operation_aborted) co_return;
            if (ec) {
                // Out of descriptors: try again when some are closed.
                asio::steady_timer pause(acceptor.get_executor(), std::chrono::milliseconds(50));
                (void)co_await pause.async_wait(use_result);
                continue;
            }
            auto who = peer_of(socket.native_handle());
            who.program = program_of(who.pid);
            if (open >= limits.connections || open_by_user[who.uid] >= limits.connections / 2) continue;  // closes it
            asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), std::move(who)), or_die);
        }
    }

    task serve(unix_socket::socket socket, peer who) {
        auto self = shared_from_this();
        ++open;
        ++open_by_user[who.uid];
        auto const uid = who.uid;
        stream connection(std::move(socket));
        co_await converse(connection, std::move(who));
        --open;
        if (--open_by_user[uid] == 0) open_by_user.erase(uid);
    }

    task converse(stream& connection, peer who) {
        beast::flat_buffer buffer;
        for (bool keep = true; keep;) {
            http::request_parser<http::string_body> parser;
            parser.header_limit(header_bytes);
            parser.body_limit(limits.body_bytes);
            connection.expires_after(limits.request_time);
            auto [ec, size] = co_await http::async_read(connection, buffer, parser, use_result);
            (void)size;
            response out;
            if (ec == http::error::body_limit || ec == http::error::header_limit) {
                out = {413, "text/plain", "the request is too large\n"};
                keep = false;
            } else if (ec) {
                co_return;
            } else {
                keep = parser.get().keep_alive();
                auto slot = std::make_shared<answer_slot>(connection.get_executor());
                reply answer = [slot, executor = connection.get_executor()](response r) {
                    asio::post(executor, [slot, r = std::move(r)]() mutable { slot->set(std::move(r)); });
                };
                handle(take(parser.get(), who), std::move(answer));
                out = co_await slot->wait();
            }
            http::response<http::string_body> message(static_cast<http::status>(out.status), 11, std::move(out.body));
            message.set(http::field::content_type, out.content_type);
            message.set(http::field::cache_control, "no-store");
            message.keep_alive(keep);
            message.prepare_payload();
            connection.expires_after(write_time);
            auto [problem, sent] = co_await http::async_write(connection, message, use_result);
            (void)sent;
            if (problem) co_return;
        }
    }
};

http_server::http_server(loop& on, unique_fd listening, server_limits limits, handler answer)
    : state_(std::make_shared<state>(on, std::move(listening), limits, std::move(answer))) {
    asio::co_spawn(on.context(), state_->accept(), or_die);
}

http_server::~http_server() {
    boost::system::error_code ignored;
    state_->acceptor.close(ignored);
}

}  // namespace scratchd::ipc
