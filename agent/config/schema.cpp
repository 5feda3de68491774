#include "agent/config/schema.hpp"

#include "agent/config/keys.hpp"
#include "agent/config/nearest.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>

namespace scratchd {
namespace {

constexpr std::size_t most_tables = 1000;

std::unexpected<error> wrong(std::string what) {
    return fail(errc::config_value, std::move(what));
}

bool is_stable_disk_name(std::string_view name) {
    // Kernel names move between disks; labels and UUIDs are content, which a job could write.
    constexpr std::string_view stable[] = {"/dev/disk/by-id/", "/dev/disk/by-path/", "/dev/disk/azure/", "/dev/loop"};
    return !name.contains("..") && std::ranges::any_of(stable, [&](auto prefix) {
        return name.starts_with(prefix) && name.size() > prefix.size();
    });
}

// /mnt/scratch/ is /mnt/scratch: mountinfo knows it by that name only.
key mount_key() {
    auto made = text("scratch.mount", {is_absolute_path, "an absolute path without ..", false},
                     [](config& c, std::size_t) -> std::string& { return c.scratch.mount; });
    made.set = [set = std::move(made.set)](config& c, std::size_t item, setting_value const& v) -> result<> {
        SCRATCHD_CHECK(set(c, item, v));
        if (c.scratch.mount.ends_with('/')) c.scratch.mount.pop_back();
        return {};
    };
    return made;
}

std::vector<key> scratch_keys() {
    using namespace std::chrono_literals;
    return {
        flag("workspace.hbi", [](config& c, std::size_t) -> bool& { return c.workspace.hbi; }),
        choice("workspace.role", {"cluster", "instance"},
               [](config& c, std::size_t) -> std::string& { return c.workspace.role; }),
        text_list("scratch.disks", {is_stable_disk_name, "a stable disk name: give /dev/disk/by-id/..."},
                  [](config& c, std::size_t) -> words& { return c.scratch.disks; }),
        mount_key(),
        choice("scratch.adopt", {"blank", "temporary", "erase"},
               [](config& c, std::size_t) -> std::string& { return c.scratch.adopt; }),
        choice("scratch.filesystem", {"ext4", "xfs"},
               [](config& c, std::size_t) -> std::string& { return c.scratch.filesystem; }),
        number("scratch.bytes_per_inode", 4096, 1 << 26,
               [](config& c, std::size_t) -> std::uint32_t& { return c.scratch.bytes_per_inode; }),
        duration("cleanup.deadline", 5s, 1h,
                 [](config& c, std::size_t) -> std::chrono::milliseconds& { return c.cleanup.deadline; }),
        choice("cleanup.method", {"crypto"}, [](config& c, std::size_t) -> std::string& { return c.cleanup.method; }),
    };
}

std::vector<key> const& keys() {
    static auto const all = [] {
        auto made = scratch_keys();
        auto more = broker_keys();
        made.insert(made.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
        return made;
    }();
    return all;
}

// How many tables a list of tables has; nothing for what is one section.
std::optional<std::size_t> tables_of(config const& c, std::string_view name) {
    if (name.starts_with("credential.")) return c.credentials.size();
    if (name.starts_with("identity.")) return c.identities.size();
    return std::nullopt;
}

void make_room(config& c, std::string_view name, std::size_t item) {
    if (name.starts_with("credential.") && c.credentials.size() <= item) c.credentials.resize(item + 1);
    if (name.starts_with("identity.") && c.identities.size() <= item) c.identities.resize(item + 1);
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

std::string origin_key(std::string_view key, std::optional<std::size_t> item) {
    auto const dot = key.find('.');
    if (!item || dot == std::string_view::npos) return std::string(key);
    return fmt::format("{}[{}]{}", key.substr(0, dot), *item, key.substr(dot));
}

result<> apply(config& into, setting const& one) {
    auto const found = std::ranges::find(keys(), one.key, &key::name);
    if (found == keys().end()) {
        words names;
        for (auto const& k : keys()) names.emplace_back(k.name);
        return wrong(fmt::format("{}: unknown key {}{}", one.where.text(), one.key, did_you_mean(one.key, names)));
    }
    auto const section = one.key.substr(0, one.key.find('.'));
    if (tables_of(into, one.key).has_value() != one.item.has_value())
        return wrong(fmt::format(
            "{}: {} is {}", one.where.text(), section,
            one.item ? fmt::format("one section: write [{}]", section) : fmt::format("a list: write [[{}]]", section)));
    if (one.item.value_or(0) >= most_tables)
        return wrong(fmt::format("{}: more than {} of [[{}]]", one.where.text(), most_tables, section));
    make_room(into, one.key, one.item.value_or(0));
    if (auto set = found->set(into, one.item.value_or(0), one.value); !set)
        return wrong(fmt::format("{}: {} {}", one.where.text(), one.key, set.error().what));
    into.origins[origin_key(one.key, one.item)] = one.where;
    return {};
}

std::vector<shown_setting> show(config const& from) {
    std::vector<shown_setting> all;
    auto add = [&](key const& k, std::optional<std::size_t> item) {
        auto const name = origin_key(k.name, item);
        auto const where = from.origins.find(name);
        all.push_back({name, k.get(from, item.value_or(0)), where != from.origins.end() ? where->second : origin{}});
    };
    for (auto const& k : keys())
        if (!tables_of(from, k.name)) add(k, std::nullopt);
    for (std::string_view const list : {"identity.", "credential."})
        for (std::size_t item = 0; item < tables_of(from, list).value_or(0); ++item)
            for (auto const& k : keys())
                if (k.name.starts_with(list)) add(k, item);
    return all;
}

}  // namespace scratchd
