#include "agent/config/parse.hpp"

#include "agent/base/file.hpp"
#include "agent/config/broker_rules.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>

namespace scratchd {
namespace {

constexpr std::size_t largest_file = 1U << 20U;

origin place(toml::source_region const& region, std::string const& file) {
    return {file, region.begin.line, region.begin.column};
}

std::unexpected<error> wrong(origin const& where, std::string_view what) {
    return fail(errc::config_value, fmt::format("{}: {}", where.text(), what));
}

result<setting_value> value_of(toml::node const& node, std::string const& file) {
    if (auto const b = node.as_boolean()) return b->get();
    if (auto const i = node.as_integer()) return i->get();
    if (auto const s = node.as_string()) return s->get();
    auto const* const array = node.as_array();
    if (array == nullptr) return wrong(place(node.source(), file), "a value of this type is not used anywhere");
    std::vector<std::string> items;
    for (auto const& item : *array) {
        auto const* const text = item.as_string();
        if (text == nullptr) return wrong(place(item.source(), file), "a list may hold strings only");
        items.push_back(text->get());
    }
    return setting_value(std::move(items));
}

result<> flatten(toml::table const& table, std::string const& prefix, std::string const& file,
                 std::vector<setting>& into, std::optional<std::size_t> item = std::nullopt) {
    for (auto const& [name, node] : table) {
        auto const key = prefix.empty() ? std::string(name.str()) : fmt::format("{}.{}", prefix, name.str());
        if (auto const* inner = node.as_table()) {
            SCRATCHD_CHECK(flatten(*inner, key, file, into, item));
            continue;
        }
        if (node.is_array_of_tables()) {
            std::size_t number = 0;
            for (auto const& one : *node.as_array())
                SCRATCHD_CHECK(flatten(*one.as_table(), key, file, into, number++));
            continue;
        }
        SCRATCHD_TRY(auto value, value_of(node, file));
        into.push_back({key, std::move(value), place(name.source(), file), item});
    }
    return {};
}

result<std::string> read_trusted(std::filesystem::path const& file) {
    auto opened = open_file(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!opened)
        return fail(opened.error().sys == ENOENT ? errc::config_missing : errc::config_insecure, file.string(),
                    opened.error().sys);
    struct stat st{};
    if (::fstat(opened->get(), &st) != 0) return fail_errno("stat " + file.string());
    if (!S_ISREG(st.st_mode)) return fail(errc::config_insecure, file.string() + " is not a regular file");
    if ((st.st_uid != 0 && st.st_uid != ::geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(errc::config_insecure, file.string() + " can be changed by others than root");
    return read_fd(opened->get(), largest_file);
}

result<> add_file(std::filesystem::path const& file, config& into) {
    SCRATCHD_TRY(auto const text, read_trusted(file));
    SCRATCHD_TRY(auto settings, parse_toml(text, file.string()));
    // The tables of a list go on behind those of the files before.
    auto const credentials = into.credentials.size();
    auto const identities = into.identities.size();
    for (auto& s : settings) {
        if (s.item) *s.item += s.key.starts_with("credential.") ? credentials : identities;
        SCRATCHD_CHECK(apply(into, s));
    }
    return {};
}

}  // namespace

result<std::vector<setting>> parse_toml(std::string_view text, std::string const& file) {
    std::vector<setting> all;
    try {  // the library as Debian builds it throws
        auto const parsed = toml::parse(text, file);
        SCRATCHD_CHECK(flatten(parsed, "", file, all));
    } catch (toml::parse_error const& problem) {
        return fail(errc::config_syntax,
                    fmt::format("{}: {}", place(problem.source(), file).text(), problem.description()));
    }
    // toml++ sorts by name: problems are easier to follow in the order of the file.
    std::ranges::sort(all, {}, [](setting const& s) { return std::pair(s.where.line, s.where.column); });
    return all;
}

result<config> load_config(std::filesystem::path const& file) {
    config loaded;
    SCRATCHD_CHECK(add_file(file, loaded));
    std::vector<std::filesystem::path> drop_ins;
    std::error_code ec;
    for (auto it = std::filesystem::directory_iterator(file.string() + ".d", ec);
         !ec && it != std::filesystem::directory_iterator(); it.increment(ec))
        if (it->path().extension() == ".toml") drop_ins.push_back(it->path());
    if (ec && ec != std::errc::no_such_file_or_directory)
        return fail(errc::config_insecure, file.string() + ".d", ec.value());
    std::ranges::sort(drop_ins);
    for (auto const& drop_in : drop_ins) SCRATCHD_CHECK(add_file(drop_in, loaded));
    SCRATCHD_CHECK(check_config(loaded));
    return loaded;
}

result<> check_config(config const& c) {
    if (!c.scratch.disks.empty() && !c.workspace.hbi)
        return fail(errc::config_value, where_set(c, "workspace.hbi") +
                                            ": workspace.hbi is off: this version encrypts every disk it "
                                            "takes, so set it to true or leave scratch.disks empty");
    if (c.workspace.role != "cluster")
        return fail(errc::config_value,
                    where_set(c, "workspace.role") + ": workspace.role \"instance\" is not in this version");
    return check_broker(c);
}

}  // namespace scratchd
