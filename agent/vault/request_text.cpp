#include "agent/vault/request_text.hpp"

#include "agent/base/version.hpp"
#include "agent/vault/secret_text.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd::vault {
namespace {

bool is_line_safe(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 127; });
}

}  // namespace

bool is_local(std::string_view host) noexcept {
    bool const is_address = host.find_first_not_of("0123456789.") == std::string_view::npos;
    return host == "169.254.169.254" || host == "localhost" || (is_address && host.starts_with("127."));
}

result<secret> request_text(outgoing const& request) {
    auto const name = request.to.authority();
    if (!request.to.tls && !is_local(request.to.host))
        return fail(errc::vault_untrusted, fmt::format("{} may not be asked without TLS", name));
    bool safe = is_header_safe(request.method) && is_header_safe(request.target) && request.target.starts_with('/') &&
                is_line_safe(request.proof_name) && is_line_safe(text_of(request.proof)) &&
                is_line_safe(request.body_type);
    std::string lines = fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: scratchd/{}\r\nAccept-Encoding: identity\r\nConnection: close\r\n",
        request.method, request.target, name, version);
    for (auto const& [key, value] : request.headers) {
        safe = safe && is_line_safe(key) && is_line_safe(value);
        lines += fmt::format("{}: {}\r\n", key, value);
    }
    if (!safe) return fail(errc::internal, fmt::format("a request to {} that is no HTTP", name));
    if (!request.body_type.empty())
        lines += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", request.body_type, request.body.size());
    bool const proves = !request.proof_name.empty();
    return joined({lines, request.proof_name, proves ? ": " : "", text_of(request.proof), proves ? "\r\n" : "", "\r\n",
                   text_of(request.body)});
}

}  // namespace scratchd::vault
