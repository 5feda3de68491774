#include "agent/vault/retry.hpp"

#include "agent/vault/http_date.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace scratchd::vault {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// IMDS: attempts at 0, 2, 6, 14 and 30 s.
constexpr std::array<milliseconds, 4> identity_waits = {2s, 4s, 8s, 16s};
constexpr milliseconds gone_for = 70s;  // 410: the endpoint is being updated, up to 70 s
constexpr std::array<milliseconds, 5> throttled_waits = {1s, 2s, 4s, 8s, 16s};
constexpr std::array<milliseconds, 3> broken_waits = {1s, 2s, 4s};
constexpr milliseconds longest_asked = std::chrono::days(1);

template <std::size_t N>
std::optional<milliseconds> nth(std::array<milliseconds, N> const& waits, unsigned attempts) {
    if (attempts == 0 || attempts > N) return std::nullopt;
    return waits[attempts - 1];
}

std::optional<milliseconds> identity_wait(tried const& so_far) {
    if (so_far.status == 410 && so_far.attempts > identity_waits.size())
        return so_far.elapsed < gone_for ? std::optional(identity_waits.back()) : std::nullopt;
    return nth(identity_waits, so_far.attempts);
}

std::optional<milliseconds> jittered(std::optional<milliseconds> wait, double chance) {
    if (wait) *wait += milliseconds(static_cast<std::int64_t>(static_cast<double>(wait->count()) * chance / 2));
    return wait;
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

std::optional<milliseconds> wait_before_next(service who, tried const& so_far, double chance) {
    bool const is_identity = who == service::identity_endpoint;
    bool const throttled = so_far.status == 429;
    bool const broken = so_far.status == 0 || (so_far.status >= 500 && so_far.status < 600);
    bool const starting = is_identity && (so_far.status == 404 || so_far.status == 410);
    if (!throttled && !broken && !starting) return std::nullopt;
    auto const usual = is_identity ? identity_wait(so_far)
                       : throttled ? jittered(nth(throttled_waits, so_far.attempts), chance)
                                   : jittered(nth(broken_waits, so_far.attempts), chance);
    if (!usual) return std::nullopt;
    return so_far.asked ? so_far.asked : usual;
}

std::optional<milliseconds> asked_to_wait(std::string_view retry_after, std::string_view retry_after_ms,
                                          std::int64_t wall_seconds) {
    if (auto const ms = number(retry_after_ms)) return milliseconds(std::min(*ms, longest_asked.count()));
    auto seconds = number(retry_after);
    if (!seconds)
        if (auto const at = parse_http_date(retry_after)) seconds = std::max<std::int64_t>(0, *at - wall_seconds);
    if (!seconds) return std::nullopt;
    return milliseconds(std::min(*seconds, longest_asked.count() / 1000) * 1000);
}

after_401 decide_after_401(bool is_key_unresolved, unsigned same_token_tries, bool token_was_renewed) {
    if (is_key_unresolved && same_token_tries < 2) return after_401::same_token;
    return token_was_renewed ? after_401::give_up : after_401::new_token;
}

}  // namespace scratchd::vault
