#include "agent/base/json.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <set>
#include <vector>

namespace scratchd::json {
namespace {

// Boost's parser keeps the last of two equal keys; a reader of another make may keep the first, so neither is right.
struct duplicate_finder {
    [[maybe_unused]] constexpr static std::size_t max_object_size = static_cast<std::size_t>(-1);
    [[maybe_unused]] constexpr static std::size_t max_array_size = static_cast<std::size_t>(-1);
    [[maybe_unused]] constexpr static std::size_t max_key_size = static_cast<std::size_t>(-1);
    [[maybe_unused]] constexpr static std::size_t max_string_size = static_cast<std::size_t>(-1);

    std::vector<std::set<std::string, std::less<>>> open;
    std::string key;
    std::string duplicate;

    using code = boost::json::error_code;
    bool on_document_begin(code&) { return true; }
    bool on_document_end(code&) { return true; }
    bool on_object_begin(code&) { return open.emplace_back(), true; }
    bool on_object_end(std::size_t, code&) { return open.pop_back(), true; }
    bool on_array_begin(code&) { return true; }
    bool on_array_end(std::size_t, code&) { return true; }
    bool on_key_part(boost::json::string_view part, std::size_t, code&) { return key.append(part), true; }
    bool on_key(boost::json::string_view part, std::size_t, code& ec) {
        key.append(part);
        if (!open.back().insert(key).second) {
            duplicate = key;
            ec = boost::json::error::extra_data;
            return false;
        }
        return key.clear(), true;
    }
    bool on_string_part(boost::json::string_view, std::size_t, code&) { return true; }
    bool on_string(boost::json::string_view, std::size_t, code&) { return true; }
    bool on_number_part(boost::json::string_view, code&) { return true; }
    bool on_int64(std::int64_t, boost::json::string_view, code&) { return true; }
    bool on_uint64(std::uint64_t, boost::json::string_view, code&) { return true; }
    bool on_double(double, boost::json::string_view, code&) { return true; }
    bool on_bool(bool, code&) { return true; }
    bool on_null(code&) { return true; }
    bool on_comment_part(boost::json::string_view, code&) { return true; }
    bool on_comment(boost::json::string_view, code&) { return true; }
};

void write_canonical(boost::json::value const& value, std::string& out);

void write_object(boost::json::object const& object, std::string& out) {
    std::vector<boost::json::object::const_iterator> members;
    for (auto it = object.begin(); it != object.end(); ++it) members.push_back(it);
    std::ranges::sort(members, {}, [](auto it) { return std::string_view(it->key()); });
    out += '{';
    for (auto const it : members) {
        if (it != members.front()) out += ',';
        out += boost::json::serialize(it->key());
        out += ':';
        write_canonical(it->value(), out);
    }
    out += '}';
}

void write_canonical(boost::json::value const& value, std::string& out) {
    if (value.is_object()) return write_object(value.get_object(), out);
    if (!value.is_array()) {
        out += boost::json::serialize(value);
        return;
    }
    out += '[';
    for (auto const& item : value.get_array()) {
        if (&item != &value.get_array().front()) out += ',';
        write_canonical(item, out);
    }
    out += ']';
}

void write_pretty(boost::json::value const& value, std::string& out, std::string const& indent) {
    auto const inner = indent + "  ";
    auto block = [&](char open, char close, auto const& items, auto&& write_item) {
        out += open;
        bool first = true;
        for (auto const& item : items) {
            out += first ? "\n" : ",\n";
            out += inner;
            write_item(item);
            first = false;
        }
        if (!first) out += "\n" + indent;
        out += close;
    };
    if (auto const* object = value.if_object())
        block('{', '}', *object, [&](auto const& member) {
            out += boost::json::serialize(member.key()) + ": ";
            write_pretty(member.value(), out, inner);
        });
    else if (auto const* array = value.if_array())
        block('[', ']', *array, [&](auto const& item) { write_pretty(item, out, inner); });
    else if (auto const* number = value.if_double()) out += fmt::format("{}", *number);
    else out += boost::json::serialize(value);
}

}  // namespace

result<> check(std::string_view text, limits allowed) {
    if (text.size() > allowed.bytes)
        return fail(errc::bad_request, fmt::format("JSON of {} bytes, {} are allowed", text.size(), allowed.bytes));
    boost::json::parse_options options;
    options.max_depth = allowed.depth;
    boost::json::error_code ec;
    boost::json::basic_parser<duplicate_finder> finder(options);
    auto const read = finder.write_some(false, text.data(), text.size(), ec);
    if (!finder.handler().duplicate.empty())
        return fail(errc::bad_request,
                    fmt::format("JSON has the key \"{}\" twice in one object", finder.handler().duplicate));
    if (ec || read != text.size() || !finder.done())
        return fail(errc::bad_request,
                    fmt::format("not JSON at byte {}: {}", read, ec ? ec.message() : "bytes after the value"));
    return {};
}

result<boost::json::value> parse(std::string_view text, limits allowed) {
    SCRATCHD_CHECK(check(text, allowed));
    boost::json::parse_options options;
    options.max_depth = allowed.depth;
    boost::json::error_code ec;
    auto value = boost::json::parse({text.data(), text.size()}, ec, {}, options);
    if (ec) return fail(errc::bad_request, "not JSON: " + ec.message());
    return value;
}

std::string canonical(boost::json::value const& value) {
    std::string out;
    write_canonical(value, out);
    return out;
}

std::string pretty(boost::json::value const& value) {
    std::string out;
    write_pretty(value, out, "");
    return out;
}

}  // namespace scratchd::json
