#include "agent/config/schema.hpp"

#include "agent/config/nearest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <charconv>
#include <functional>

namespace scratchd {
namespace {

using words = std::vector<std::string>;

std::string quoted(std::string_view text) {
    return fmt::format("\"{}\"", text);
}

std::string duration_text(std::chrono::milliseconds span) {
    return span.count() % 1000 == 0 ? fmt::format("{}s", span.count() / 1000) : fmt::format("{}ms", span.count());
}

struct key {
    std::string_view name;
    std::function<result<>(config&, setting_value const&)> set;
    std::function<std::string(config const&)> get;
};

std::unexpected<error> wrong(std::string what) {
    return fail(errc::config_value, std::move(what));
}

template <class T>
result<T> typed(setting_value const& value, char const* expected) {
    if (auto const* right = std::get_if<T>(&value)) return *right;
    return wrong(fmt::format("must be {}", expected));
}

key flag(std::string_view name, std::function<bool&(config&)> at) {
    return {name,
            [at](config& c, setting_value const& v) -> result<> {
                SCRATCHD_TRY(at(c), typed<bool>(v, "true or false"));
                return {};
            },
            [at](config const& c) { return at(const_cast<config&>(c)) ? "true" : "false"; }};
}

key choice(std::string_view name, words allowed, std::function<std::string&(config&)> at) {
    return {name,
            [at, allowed](config& c, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto text, typed<std::string>(v, "a string"));
                if (std::ranges::find(allowed, text) == allowed.end())
                    return wrong(fmt::format("must be one of \"{}\", not \"{}\"{}", fmt::join(allowed, "\", \""), text,
                                             did_you_mean(text, allowed)));
                at(c) = std::move(text);
                return {};
            },
            [at](config const& c) { return quoted(at(const_cast<config&>(c))); }};
}

key duration(std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most,
             std::function<std::chrono::milliseconds&(config&)> at) {
    return {name,
            [=](config& c, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto const text, typed<std::string>(v, "a duration like \"30s\""));
                SCRATCHD_TRY(auto const span, parse_duration(text));
                if (span < least || span > most)
                    return wrong(fmt::format("must be between {} and {}", duration_text(least), duration_text(most)));
                at(c) = span;
                return {};
            },
            [at](config const& c) { return quoted(duration_text(at(const_cast<config&>(c)))); }};
}

key absolute_path(std::string_view name, std::function<std::string&(config&)> at) {
    return {name,
            [at](config& c, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto text, typed<std::string>(v, "a path"));
                if (!text.starts_with('/') || text.size() < 2 || text.contains("/../") || text.ends_with("/..") ||
                    text.contains("//"))
                    return wrong("must be an absolute path without ..");
                if (text.ends_with('/')) text.pop_back();
                at(c) = std::move(text);
                return {};
            },
            [at](config const& c) { return quoted(at(const_cast<config&>(c))); }};
}

key disk_list() {
    return {"scratch.disks",
            [](config& c, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto names, typed<words>(v, "a list of strings"));
                for (auto const& name : names) {
                    bool const stable = name.starts_with("/dev/disk/") || name.starts_with("/dev/loop");
                    if (!stable || name.contains(".."))
                        return wrong(fmt::format("\"{}\" is no stable name of a disk: give /dev/disk/by-id/...", name));
                }
                c.scratch.disks = std::move(names);
                return {};
            },
            [](config const& c) {
                words all;
                for (auto const& d : c.scratch.disks) all.push_back(quoted(d));
                return fmt::format("[{}]", fmt::join(all, ", "));
            }};
}

key inode_ratio() {
    return {"scratch.bytes_per_inode",
            [](config& c, setting_value const& v) -> result<> {
                SCRATCHD_TRY(auto const number, typed<std::int64_t>(v, "a number"));
                if (number < 4096 || number > (1 << 26)) return wrong("must be between 4096 and 67108864");
                c.scratch.bytes_per_inode = static_cast<std::uint32_t>(number);
                return {};
            },
            [](config const& c) { return std::to_string(c.scratch.bytes_per_inode); }};
}

std::vector<key> const& keys() {
    using namespace std::chrono_literals;
    static std::vector<key> const all{
        flag("workspace.hbi", [](config& c) -> bool& { return c.workspace.hbi; }),
        choice("workspace.role", {"cluster", "instance"}, [](config& c) -> std::string& { return c.workspace.role; }),
        disk_list(),
        absolute_path("scratch.mount", [](config& c) -> std::string& { return c.scratch.mount; }),
        choice("scratch.adopt", {"blank", "temporary", "erase"},
               [](config& c) -> std::string& { return c.scratch.adopt; }),
        choice("scratch.filesystem", {"ext4", "xfs"}, [](config& c) -> std::string& { return c.scratch.filesystem; }),
        inode_ratio(),
        duration("cleanup.deadline", 5s, 1h,
                 [](config& c) -> std::chrono::milliseconds& { return c.cleanup.deadline; }),
        choice("cleanup.method", {"crypto"}, [](config& c) -> std::string& { return c.cleanup.method; }),
    };
    return all;
}

}  // namespace

std::string origin::text() const {
    return file.empty() ? "default" : fmt::format("{}:{}:{}", file, line, column);
}

result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::int64_t number = 0;
    auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view const unit(end, text.data() + text.size());
    constexpr std::pair<std::string_view, std::int64_t> units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    auto const* const found = std::ranges::find(units, unit, &std::pair<std::string_view, std::int64_t>::first);
    if (problem != std::errc{} || number < 0 || number > 1000000 || found == std::end(units))
        return wrong(fmt::format("must be a duration like \"30s\", \"500ms\" or \"5m\", not \"{}\"", text));
    return std::chrono::milliseconds(number * found->second);
}

result<> apply(config& into, setting const& one) {
    auto const found = std::ranges::find(keys(), one.key, &key::name);
    if (found == keys().end()) {
        words names;
        for (auto const& k : keys()) names.emplace_back(k.name);
        return wrong(fmt::format("{}: unknown key {}{}", one.where.text(), one.key, did_you_mean(one.key, names)));
    }
    if (auto set = found->set(into, one.value); !set)
        return wrong(fmt::format("{}: {} {}", one.where.text(), one.key, set.error().what));
    into.origins[one.key] = one.where;
    return {};
}

std::vector<shown_setting> show(config const& from) {
    std::vector<shown_setting> all;
    for (auto const& k : keys()) {
        auto const where = from.origins.find(std::string(k.name));
        all.push_back({std::string(k.name), k.get(from), where != from.origins.end() ? where->second : origin{}});
    }
    return all;
}

}  // namespace scratchd
