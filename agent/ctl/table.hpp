// Tables for people, by libsmartcols: they fit the terminal and colour only where colour is wanted (NO_COLOR).
#pragma once

#include <string>
#include <vector>

namespace scratchd::ctl {

struct column {
    std::string title;
    bool right = false;     // aligned right: numbers
    bool coloured = false;  // green, yellow or red after the word in it
};

// One line a row; without titles when `headings` is false.
std::string table(std::vector<column> const& columns, std::vector<std::vector<std::string>> const& rows,
                  bool headings = true);

// "439.9 GiB"
std::string size_text(unsigned long long bytes);
// "0.41 s"
std::string seconds_text(double seconds);

}  // namespace scratchd::ctl
