#include "agent/broker/load_credential.hpp"

#include <algorithm>

namespace scratchd::broker {
namespace {

constexpr std::size_t longest_hex = 16;
constexpr std::size_t longest_unit = 255;
constexpr std::size_t longest_credential = 64;
constexpr std::string_view kinds[] = {".service", ".socket", ".mount", ".swap"};

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// systemd, unit-name.c, VALID_CHARS_WITH_AT.
bool is_unit(std::string_view text) {
    auto const valid = [](char c) { return is_alphanumeric(c) || std::string_view(":-_.\\@").contains(c); };
    auto const fits = [&](std::string_view kind) { return text.size() > kind.size() && text.ends_with(kind); };
    return text.size() <= longest_unit && std::ranges::all_of(text, valid) && std::ranges::any_of(kinds, fits) &&
           text.front() != '@';
}

bool is_credential(std::string_view text) {
    auto const valid = [](char c) { return is_alphanumeric(c) || std::string_view("._-").contains(c); };
    return !text.empty() && text.size() <= longest_credential && text.front() != '.' &&
           std::ranges::all_of(text, valid);
}

}  // namespace

std::optional<unit_request> parse_unit_address(std::string_view address) {
    constexpr std::string_view marker = "/unit/";
    if (!address.starts_with('\0')) return std::nullopt;
    address.remove_prefix(1);
    auto const hex = address.substr(0, address.find('/'));
    if (hex.empty() || hex.size() > longest_hex || hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return std::nullopt;
    address.remove_prefix(hex.size());
    if (!address.starts_with(marker)) return std::nullopt;
    address.remove_prefix(marker.size());
    auto const slash = address.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    auto const unit = address.substr(0, slash);
    auto const credential = address.substr(slash + 1);
    if (!is_unit(unit) || !is_credential(credential)) return std::nullopt;
    return unit_request{std::string(unit), std::string(credential)};
}

}  // namespace scratchd::broker
