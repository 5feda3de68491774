#include "agent/config/keys.hpp"

#include "agent/config/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

namespace scratchd {
namespace {

std::string duration_text(std::chrono::milliseconds span) {
    return span.count() % 1000 == 0 ? fmt::format("{}s", span.count() / 1000) : fmt::format("{}ms", span.count());
}

std::unexpected<error> wrong(std::string what) {
    return fail(errc::config_value, std::move(what));
}

template <class T>
result<T> typed(setting_value const& value, char const* expected) {
    if (auto const* right = std::get_if<T>(&value)) return *right;
    return wrong(fmt::format("must be {}", expected));
}

// Only `show` reads through a place, and it changes nothing.
template <class T>
T const& look(place<T> const& at, config const& c, std::size_t item) {
    return at(const_cast<config&>(c), item);
}

}  // namespace

std::string quoted(std::string_view text) {
    return fmt::format("\"{}\"", text);
}

bool is_absolute_path(std::string_view text) {
    return text.starts_with('/') && text.size() > 1 && !text.contains("/../") && !text.ends_with("/..") &&
           !text.contains("//");
}

key flag(std::string_view name, place<bool> at) {
    return {name,
            [at](config& c, std::size_t item, setting_value const& v) -> result<> {
                SCRATCHD_TRY(at(c, item), typed<bool>(v, "true or false"));
                return {};
            },
            [at](config const& c, std::size_t item) { return look(at, c, item) ? "true" : "false"; }};
}

key choice(std::string_view name, words allowed, place<std::string> at) {
    return {name,
            [at, allowed](config& c, std::size_t item, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto chosen, typed<std::string>(v, "a string"));
                if (std::ranges::find(allowed, chosen) == allowed.end())
                    return wrong(fmt::format("must be one of \"{}\", not \"{}\"{}", fmt::join(allowed, "\", \""),
                                             chosen, did_you_mean(chosen, allowed)));
                at(c, item) = std::move(chosen);
                return {};
            },
            [at](config const& c, std::size_t item) { return quoted(look(at, c, item)); }};
}

key duration(std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most,
             place<std::chrono::milliseconds> at) {
    return {name,
            [=](config& c, std::size_t item, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto const given, typed<std::string>(v, "a duration like \"30s\""));
                SCRATCHD_TRY(auto const span, parse_duration(given));
                if (span < least || span > most)
                    return wrong(fmt::format("must be between {} and {}", duration_text(least), duration_text(most)));
                at(c, item) = span;
                return {};
            },
            [at](config const& c, std::size_t item) { return quoted(duration_text(look(at, c, item))); }};
}

key number(std::string_view name, std::int64_t least, std::int64_t most, place<std::uint32_t> at) {
    return {name,
            [=](config& c, std::size_t item, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto const given, typed<std::int64_t>(v, "a number"));
                if (given < least || given > most) return wrong(fmt::format("must be between {} and {}", least, most));
                at(c, item) = static_cast<std::uint32_t>(given);
                return {};
            },
            [at](config const& c, std::size_t item) { return std::to_string(look(at, c, item)); }};
}

key text(std::string_view name, text_rule rule, place<std::string> at) {
    return {name,
            [=](config& c, std::size_t item, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto given, typed<std::string>(v, "a string"));
                if (!(given.empty() && rule.may_be_empty) && !rule.fits(given))
                    return wrong(fmt::format("must be {}", rule.must_be));
                at(c, item) = std::move(given);
                return {};
            },
            [at](config const& c, std::size_t item) { return quoted(look(at, c, item)); }};
}

key text_list(std::string_view name, text_rule rule, place<words> at) {
    return {name,
            [=](config& c, std::size_t item, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto given, typed<words>(v, "a list of strings"));
                for (auto const& one : given)
                    if (!rule.fits(one)) return wrong(fmt::format("\"{}\" is not {}", one, rule.must_be));
                at(c, item) = std::move(given);
                return {};
            },
            [at](config const& c, std::size_t item) {
                words all;
                for (auto const& one : look(at, c, item)) all.push_back(quoted(one));
                return fmt::format("[{}]", fmt::join(all, ", "));
            }};
}

}  // namespace scratchd
