// Which route a request means. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scratchd::ipc {

struct route {
    std::string_view method;
    std::string_view pattern;  // "/v1/jobs/{id}": a segment in braces matches any one segment
};

struct match {
    std::size_t index = 0;
    std::vector<std::string> parameters;  // percent-decoded
};

enum class no_match : std::uint8_t { not_found, method_not_allowed, malformed };

struct routed {
    std::optional<match> found;
    no_match why = no_match::not_found;
};

routed find_route(std::span<route const> routes, std::string_view method, std::string_view path);

}  // namespace scratchd::ipc
