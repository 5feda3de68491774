// JSON as scratchd reads and writes it: strict and bounded in, canonical out.
//
// Only json.cpp and the files that build or take apart values include Boost.JSON itself: it costs 2 s a file.
#pragma once

#include "agent/base/error.hpp"

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace scratchd::json {

struct limits {
    std::size_t bytes = 65536;
    std::size_t depth = 16;
};

// Refuses what RFC 8259 refuses, and also: more bytes or depth than `allowed`, a key twice in one object, bytes after
// the value. The error says where.
result<boost::json::value> parse(std::string_view text, limits allowed = {});
// The same refusals without building the value: for who keeps it in memory of his own.
result<> check(std::string_view text, limits allowed = {});

// RFC 8785 canonical form for values without floating-point numbers: keys sorted, no spaces. The same value always
// gives the same bytes, so they can be signed. A floating-point number is a bug: records hold integers only.
std::string canonical(boost::json::value const& value);

// For people and --json: two spaces a level.
std::string pretty(boost::json::value const& value);

}  // namespace scratchd::json
