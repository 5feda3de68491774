#include "agent/ctl/table.hpp"

#include "agent/base/handle.hpp"

#include <fmt/format.h>
#include <libsmartcols/libsmartcols.h>
#include <unistd.h>
#include <cstdlib>
#include <string_view>

namespace scratchd::ctl {
namespace {

using table_ptr = c_ptr<libscols_table, scols_unref_table>;

bool wants_colour() {
    char const* const no = std::getenv("NO_COLOR");  // no-color.org: set and not empty
    return (no == nullptr || *no == '\0') && ::isatty(STDOUT_FILENO) == 1;
}

char const* colour_of(std::string_view word) {
    if (word == "ready" || word == "clean" || word == "yes" || word == "intact") return "green";
    if (word == "failed" || word == "quarantine") return "red";
    return word == "wiping" || word == "leased" ? "yellow" : nullptr;
}

}  // namespace

std::string table(std::vector<column> const& columns, std::vector<std::vector<std::string>> const& rows,
                  bool headings) {
    table_ptr const made(scols_new_table());
    if (!made) return "";
    scols_table_enable_noheadings(made.get(), headings ? 0 : 1);
    scols_table_enable_colors(made.get(), wants_colour() ? 1 : 0);
    for (auto const& c : columns) scols_table_new_column(made.get(), c.title.c_str(), 0, c.right ? SCOLS_FL_RIGHT : 0);
    for (auto const& row : rows) {
        auto* const line = scols_table_new_line(made.get(), nullptr);
        for (std::size_t i = 0; i < columns.size() && i < row.size(); ++i) {
            scols_line_set_data(line, i, row[i].c_str());
            if (auto const* colour = columns[i].coloured ? colour_of(row[i]) : nullptr)
                scols_cell_set_color(scols_line_get_cell(line, i), colour);
        }
    }
    char* text = nullptr;
    if (scols_print_table_to_string(made.get(), &text) != 0 || text == nullptr) return "";
    std::string out(text);
    std::free(text);
    return out;
}

std::string size_text(unsigned long long bytes) {
    constexpr char const* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string seconds_text(double seconds) {
    return fmt::format("{:.2f} s", seconds);
}

}  // namespace scratchd::ctl
