#include "agent/broker/registry_name.hpp"

#include <algorithm>

namespace scratchd::broker {
namespace {

constexpr std::size_t longest = 255;
constexpr std::string_view hub = "docker.io";
constexpr std::string_view hub_names[] = {"docker.io", "index.docker.io", "registry-1.docker.io",
                                          "https://index.docker.io/v1/"};

bool is_host_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_host(std::string_view text) {
    if (text.starts_with('[') && text.ends_with(']'))
        return text.size() > 2 && text.find_first_not_of("0123456789abcdef:.", 1) == text.size() - 1;
    return !text.empty() && std::ranges::all_of(text, is_host_byte);
}

}  // namespace

std::optional<std::string> registry_key(std::string_view name) {
    if (name.size() > longest) return std::nullopt;
    std::string key(name);
    std::ranges::transform(key, key.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (std::ranges::find(hub_names, key) != std::end(hub_names)) return std::string(hub);
    auto const colon = key.ends_with(']') ? std::string::npos : key.rfind(':');
    auto const whole = std::string_view(key);
    if (!is_host(whole.substr(0, colon))) return std::nullopt;
    if (colon != std::string::npos && !is_port(whole.substr(colon + 1))) return std::nullopt;
    return key;
}

}  // namespace scratchd::broker
