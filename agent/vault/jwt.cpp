#include "agent/vault/jwt.hpp"

#include "agent/crypto/secret_base64.hpp"
#include "agent/vault/exchange.hpp"
#include "agent/vault/secret_text.hpp"

namespace scratchd::vault {

std::optional<document> read_claims(std::string_view token) {
    auto const first = token.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    auto const second = token.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    auto const bytes = base64url_decode_secret(token.substr(first + 1, second - first - 1));
    if (!bytes) return std::nullopt;
    auto claims = document::parse(text_of(*bytes), token_body_bytes, "claims");
    if (!claims) return std::nullopt;
    return *std::move(claims);
}

}  // namespace scratchd::vault
