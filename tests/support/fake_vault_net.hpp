// A network that answers from a script, and a clock that jumps over every wait.
#pragma once

#include "agent/vault/ask.hpp"
#include "agent/vault/provider.hpp"
#include "agent/vault/secret_text.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/run_task.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fake {

namespace vault = scratchd::vault;

inline std::string text(scratchd::secret const& from) {
    return std::string(vault::text_of(from));
}
inline scratchd::secret hidden(std::string_view text) {
    return must(vault::joined({text}));
}

// Stands in tokens, secrets and bodies; no error may ever repeat it.
inline std::string const planted = "PLANTED-7f3a9c";

// Fails with that code, and does not repeat what is secret.
template <class T>
bool refused(scratchd::result<T> const& r, scratchd::errc code) {
    bool const quiet = r || r.error().message().find(planted) == std::string::npos;
    return fails_with(r, code) && quiet;
}

inline scratchd::deadline soon(int seconds = 600) {
    return scratchd::deadline::in(std::chrono::seconds(seconds));
}

struct clock final : vault::timing {
    vault::timing::clock::time_point at{std::chrono::hours(1)};
    std::int64_t wall = 1700000000;
    std::vector<int> waits;  // seconds

    [[nodiscard]] vault::timing::clock::time_point now() const override { return at; }
    [[nodiscard]] std::int64_t wall_seconds() const override { return wall; }
    [[nodiscard]] double chance() override { return 0; }
    scratchd::task<> pause(std::chrono::milliseconds span) override {
        waits.push_back(static_cast<int>(span.count() / 1000));
        pass(span);
        co_return;
    }
    void pass(std::chrono::milliseconds span) {
        at += span;
        wall += span.count() / 1000;
    }
};

struct seen {
    std::string method;
    std::string url;  // "GET" aside, as a person writes it
    std::map<std::string, std::string> headers;
    std::string proof;
    std::string body;
};

using answer = scratchd::result<vault::incoming>;

inline answer say(int status, std::string_view body = "", std::vector<std::string> challenges = {}) {
    vault::incoming out;
    out.status = status;
    out.body = hidden(body);
    out.challenges = std::move(challenges);
    return out;
}
inline answer say_wait(int status, std::string seconds) {
    auto out = say(status);
    out->retry_after = std::move(seconds);
    return out;
}
inline answer break_off(scratchd::errc code = scratchd::errc::vault_unreachable) {
    return scratchd::fail(code, "reset");
}

class net final : public vault::transport {
public:
    std::function<answer(seen const&)> reply;
    std::vector<seen> log;
    bool slow = false;  // longer than who waits no time at all

    // One answer after the other; asking for more fails the test.
    void script(std::vector<std::function<answer()>> answers) {
        reply = [answers = std::move(answers), next = std::size_t{0}](seen const& asked) mutable {
            INFO(asked.url);
            REQUIRE(next < answers.size());
            return answers[next++]();
        };
    }
    void always(int status, std::string body, std::vector<std::string> challenges = {}) {
        reply = [=](seen const&) { return say(status, body, challenges); };
    }
    [[nodiscard]] std::size_t count(std::string_view part) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(log, [&](seen const& s) { return s.url.find(part) != std::string::npos; }));
    }

private:
    scratchd::task<answer> send(vault::outgoing what, scratchd::deadline) override {
        seen asked{what.method,
                   (what.to.tls ? "https://" : "http://") + what.to.authority() + what.target,
                   {},
                   what.proof_name.empty() ? "" : what.proof_name + ": " + text(what.proof),
                   text(what.body)};
        for (auto const& [name, value] : what.headers) asked.headers[name] = value;
        log.push_back(asked);
        for (int turns = slow ? 1000 : 1; turns > 0; --turns)
            co_await boost::asio::post(boost::asio::use_awaitable);  // others get their turn meanwhile
        co_return reply(asked);
    }
};

inline scratchd::task<scratchd::result<scratchd::secret>> read_of(std::map<std::string, std::string> content,
                                                                  std::string name) {
    auto const found = content.find(name);
    if (found == content.end()) co_return scratchd::fail(scratchd::errc::secret_missing, name);
    co_return hidden(found->second);
}
// Files of root, by name.
inline vault::source_reader files(std::map<std::string, std::string> content) {
    return [content = std::move(content)](std::string name) { return read_of(content, std::move(name)); };
}

}  // namespace fake
