#include "agent/vault/http_date.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <span>
#include <string>

namespace scratchd::vault {
namespace {

struct moment {
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int zone_minutes = 0;
};

// Takes a text apart from the left; every step says whether it fitted.
class scan {
public:
    explicit scan(std::string_view text) : left_(text) {}

    bool number(std::size_t shortest, std::size_t longest, int& into) {
        std::size_t digits = 0;
        while (digits < longest && digits < left_.size() && left_[digits] >= '0' && left_[digits] <= '9') ++digits;
        if (digits < shortest) return false;
        into = 0;
        for (char const c : left_.substr(0, digits)) into = into * 10 + (c - '0');
        left_.remove_prefix(digits);
        return true;
    }
    bool word(std::string_view expected) {
        if (!left_.starts_with(expected)) return false;
        left_.remove_prefix(expected.size());
        return true;
    }
    bool one_of(std::span<std::string_view const> words, int& into) {
        auto const found = std::ranges::find_if(words, [this](auto w) { return left_.starts_with(w); });
        if (found == words.end()) return false;
        into = static_cast<int>(found - words.begin());
        return word(*found);
    }
    void skip_digits() {
        while (!left_.empty() && left_.front() >= '0' && left_.front() <= '9') left_.remove_prefix(1);
    }
    [[nodiscard]] bool at_end() const { return left_.empty(); }

private:
    std::string_view left_;
};

constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

std::optional<std::int64_t> seconds_of(moment const& m) {
    using namespace std::chrono;
    year_month_day const date{year(m.year), month(static_cast<unsigned>(m.month)), day(static_cast<unsigned>(m.day))};
    if (!date.ok() || m.year < 1970 || m.hour > 23 || m.minute > 59 || m.second > 60) return std::nullopt;
    return sys_days(date).time_since_epoch().count() * 86400LL + m.hour * 3600LL + m.minute * 60LL + m.second -
           m.zone_minutes * 60LL;
}

bool time_of_day(scan& s, moment& m) {
    return s.number(1, 2, m.hour) && s.word(":") && s.number(2, 2, m.minute) && s.word(":") && s.number(2, 2, m.second);
}

bool zone(scan& s, moment& m) {
    if (s.word("Z")) return true;
    int const sign = s.word("+") ? 1 : -1;
    int hours = 0;
    int minutes = 0;
    if (sign < 0 && !s.word("-")) return false;
    if (!s.number(2, 2, hours) || !s.word(":") || !s.number(2, 2, minutes)) return false;
    m.zone_minutes = sign * (hours * 60 + minutes);
    return true;
}

std::optional<std::int64_t> rfc_3339(std::string_view text) {
    scan s(text);
    moment m;
    if (!s.number(4, 4, m.year) || !s.word("-") || !s.number(2, 2, m.month) || !s.word("-") || !s.number(2, 2, m.day) ||
        !(s.word("T") || s.word(" ")) || !time_of_day(s, m))
        return std::nullopt;
    if (s.word(".")) s.skip_digits();
    if (!s.at_end() && !zone(s, m)) return std::nullopt;
    return s.at_end() ? seconds_of(m) : std::nullopt;
}

std::optional<std::int64_t> month_first(std::string_view text) {
    scan s(text);
    moment m;
    if (!s.number(1, 2, m.month) || !s.word("/") || !s.number(1, 2, m.day) || !s.word("/") || !s.number(4, 4, m.year) ||
        !s.word(" ") || !time_of_day(s, m))
        return std::nullopt;
    bool const afternoon = s.word(" PM");
    if (afternoon || s.word(" AM")) {
        if (m.hour < 1 || m.hour > 12) return std::nullopt;
        m.hour = m.hour % 12 + (afternoon ? 12 : 0);
    }
    if (s.word(" ") && !zone(s, m)) return std::nullopt;
    return s.at_end() ? seconds_of(m) : std::nullopt;
}

std::optional<std::int64_t> plain_seconds(std::string_view text) {
    std::int64_t value = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    constexpr std::int64_t year_9999 = 253402300799;
    bool const whole = ec == std::errc() && end == text.data() + text.size();
    if (!whole || value < 0 || value > year_9999) return std::nullopt;
    return value;
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
    scan s(text);
    moment m;
    int weekday = 0;
    if (!s.one_of(days, weekday) || !s.word(", ") || !s.number(2, 2, m.day) || !s.word(" ") ||
        !s.one_of(months, m.month) || !s.word(" ") || !s.number(4, 4, m.year) || !s.word(" ") || !time_of_day(s, m) ||
        !s.word(" ") || !(s.word("GMT") || s.word("UTC")) || !s.at_end())
        return std::nullopt;
    ++m.month;
    return seconds_of(m);
}

std::optional<std::int64_t> parse_any_date(std::string_view text) {
    if (auto const found = plain_seconds(text)) return found;
    if (auto const found = rfc_3339(text)) return found;
    if (auto const found = parse_http_date(text)) return found;
    return month_first(text);
}

}  // namespace scratchd::vault
