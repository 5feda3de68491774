#include "agent/config/nearest.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd {
namespace {

// Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            auto const above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view given, std::vector<std::string> const& known) {
    // A key in the wrong section, or in none.
    auto const last = given.substr(given.rfind('.') + 1);
    for (auto const& name : known)
        if (name.ends_with(fmt::format(".{}", last))) return fmt::format(" (did you mean {}?)", name);
    auto const best = std::ranges::min_element(known, {}, [&](auto const& name) { return distance(given, name); });
    if (best == known.end() || distance(given, *best) > std::max<std::size_t>(2, given.size() / 3)) return "";
    return fmt::format(" (did you mean {}?)", *best);
}

}  // namespace scratchd
