#include "agent/vault/exchange.hpp"

#include <fmt/format.h>

namespace scratchd::vault {

std::string endpoint::authority() const {
    std::uint16_t const usual = tls ? 443 : 80;
    return port == usual ? host : fmt::format("{}:{}", host, port);
}

task<result<incoming>> transport::exchange(outgoing what, deadline until) {
    auto const host = what.to.authority();
    auto answer = co_await send(std::move(what), until);
    if (answer && answer->status >= 300 && answer->status < 400)
        co_return fail(errc::vault_untrusted, fmt::format("{} sends us elsewhere (status {})", host, answer->status));
    co_return answer;
}

}  // namespace scratchd::vault
