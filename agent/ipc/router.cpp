#include "agent/ipc/router.hpp"

#include <charconv>

namespace scratchd::ipc {
namespace {

std::vector<std::string_view> segments(std::string_view path) {
    std::vector<std::string_view> all;
    while (!path.empty()) {
        path.remove_prefix(1);  // the slash
        auto const end = std::min(path.find('/'), path.size());
        all.push_back(path.substr(0, end));
        path.remove_prefix(end);
    }
    return all;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned value = 0;
        auto const* const from = text.data() + i + 1;
        if (i + 2 >= text.size() || std::from_chars(from, from + 2, value, 16).ptr != from + 2) return std::nullopt;
        out += static_cast<char>(value);
        i += 2;
    }
    return out;
}

}  // namespace

routed find_route(std::span<route const> routes, std::string_view method, std::string_view path) {
    if (!path.starts_with('/')) return {std::nullopt, no_match::malformed};
    auto const given = segments(path);
    routed answer;
    for (std::size_t index = 0; index < routes.size(); ++index) {
        auto const wanted = segments(routes[index].pattern);
        if (wanted.size() != given.size()) continue;
        match found{index, {}};
        bool fits = true;
        for (std::size_t i = 0; fits && i < wanted.size(); ++i) {
            if (!wanted[i].starts_with('{')) {
                fits = wanted[i] == given[i];
                continue;
            }
            auto value = percent_decode(given[i]);
            if (!value) return {std::nullopt, no_match::malformed};
            found.parameters.push_back(*std::move(value));
        }
        if (!fits) continue;
        if (routes[index].method == method) return {std::move(found), {}};
        answer.why = no_match::method_not_allowed;
    }
    return answer;
}

}  // namespace scratchd::ipc
