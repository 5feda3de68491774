#include "agent/vault/url.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <optional>

namespace scratchd::vault {
namespace {

constexpr std::size_t longest_url = 8192;
constexpr std::size_t longest_host = 253;  // RFC 1035, 2.3.4

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_alnum(char c) {
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_name_char(char c) {
    return is_alnum(c) || c == '-';
}

std::string lowered(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

// Labels of RFC 1123; an IPv4 address passes too.
bool is_host(std::string_view host) {
    if (host.empty() || host.size() > longest_host) return false;
    while (!host.empty()) {
        auto const label = host.substr(0, host.find('.'));
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-' ||
            !std::ranges::all_of(label, is_name_char))
            return false;
        host.remove_prefix(label.size());
        if (host == ".") return false;
        if (!host.empty()) host.remove_prefix(1);
    }
    return true;
}

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

// One label, a dot, then the suffix: "evilvault.azure.net" is not below "vault.azure.net".
result<endpoint> one_label_below(endpoint found, std::string_view suffix, std::size_t shortest, std::size_t longest) {
    auto const wanted = parse_authority(suffix);
    auto const cut = found.host.find('.');
    bool const below = wanted && cut != std::string::npos && found.host.substr(cut + 1) == wanted->host;
    if (!below || found.port != wanted->port || cut < shortest || cut > longest)
        return fail(errc::vault_untrusted, fmt::format("the host is not NAME.{}", suffix));
    return found;
}

}  // namespace

result<endpoint> parse_authority(std::string_view text) {
    endpoint out;
    if (auto const colon = text.find(':'); colon != std::string_view::npos) {
        auto const port = port_of(text.substr(colon + 1));
        if (!port) return fail(errc::bad_request, "not a port");
        out.port = *port;
        text = text.substr(0, colon);
    }
    if (!is_host(text)) return fail(errc::bad_request, "not the name of a host");
    out.host = lowered(text);
    return out;
}

result<link> parse_link(std::string_view text) {
    if (text.size() > longest_url) return fail(errc::bad_request, "the URL is too long");
    auto const parsed = boost::urls::parse_absolute_uri({text.data(), text.size()});
    if (parsed.has_error()) return fail(errc::bad_request, "not an absolute URL");
    auto const& url = *parsed;
    bool const tls = url.scheme_id() == boost::urls::scheme::https;
    if ((!tls && url.scheme_id() != boost::urls::scheme::http) || url.has_userinfo())
        return fail(errc::bad_request, "not a plain http or https URL");
    std::string const host(std::string_view(url.encoded_host()));
    if (!is_host(host)) return fail(errc::bad_request, "the URL names no host");
    link out;
    out.to = {lowered(host), static_cast<std::uint16_t>(tls ? 443 : 80), tls};
    if (url.has_port()) {
        auto const port = port_of(std::string_view(url.port()));
        if (!port) return fail(errc::bad_request, "the URL has no valid port");
        out.to.port = *port;
    }
    out.path = std::string(std::string_view(url.encoded_path()));
    if (out.path.empty()) out.path = "/";
    out.query = std::string(std::string_view(url.encoded_query()));
    return out;
}

result<endpoint> parse_vault_url(std::string_view text, std::string_view suffix) {
    constexpr std::string_view scheme = "https://";
    if (!same_text(text.substr(0, scheme.size()), scheme))
        return fail(errc::vault_untrusted, "the vault's URL does not begin with https://");
    text.remove_prefix(scheme.size());
    if (text.ends_with('/')) text.remove_suffix(1);
    auto found = parse_authority(text);
    if (!found) return fail(errc::vault_untrusted, "the vault's URL is not https://NAME." + std::string(suffix));
    return one_label_below(*std::move(found), suffix, 3, 24);
}

result<endpoint> parse_registry(std::string_view text, std::string_view suffix) {
    auto found = parse_authority(text);
    if (!found) return fail(errc::vault_untrusted, "the registry is not NAME." + std::string(suffix));
    return one_label_below(*std::move(found), suffix, 1, 63);
}

bool is_secret_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 127 && std::ranges::all_of(name, is_name_char);
}

bool is_version(std::string_view version) noexcept {
    return version.size() == 32 && version.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

bool same_text(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') out += c;
        else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace scratchd::vault
