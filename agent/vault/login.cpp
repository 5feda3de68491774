// Entra's token endpoint: an application proves itself by a secret, by a certificate, or by another issuer's token.
// Source: "OAuth 2.0 client credentials flow on the Microsoft identity platform".
#include "agent/crypto/assertion.hpp"
#include "agent/vault/identity.hpp"
#include "agent/vault/identity_reply.hpp"
#include "agent/vault/secret_file.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <vector>

namespace scratchd::vault {
namespace {

constexpr std::size_t longest_federated_token = 16384;

class login_identity final : public identity_source {
public:
    login_identity(endpoint at, identity_config who, identity_tools tools)
        : at_(std::move(at)),
          target_(fmt::format("/{}/oauth2/v2.0/token", who.tenant)),
          who_(std::move(who)),
          tools_(std::move(tools)) {}

    task<result<access_token>> token(std::string resource, deadline until) override {
        auto const proof = co_await prove();
        if (!proof) co_return std::unexpected(proof.error());
        request_maker make = [this, &resource, &proof]() { return request(resource, *proof); };
        auto const answer = co_await ask(tools_.how, service::login, std::move(make), until);
        if (!answer) co_return std::unexpected(error(answer.error()).while_doing("login"));
        // The reply names no client: the proof was that client's.
        token_wish const wish{std::move(resource), {}, {}, {}};
        co_return token_from(*answer, wish, tools_.how.time, at_.authority());
    }

private:
    task<result<secret>> prove() {
        if (!who_.token_file.empty()) {
            auto found = read_secret_file(who_.token_file, longest_federated_token);  // it is rotated: each time anew
            if (found) trim_newline(*found);
            co_return found;
        }
        auto const& file = who_.secret_file.empty() ? who_.certificate_file : who_.secret_file;
        auto found = co_await tools_.read(file);
        if (!found || who_.certificate_file.empty()) {
            if (found) trim_newline(*found);
            co_return found;
        }
        assertion_claims const claims{"https://" + at_.authority() + target_, who_.client_id,
                                      tools_.how.time.wall_seconds()};
        auto const algorithm = who_.algorithm == "RS256" ? assertion_algorithm::rs256 : assertion_algorithm::ps256;
        auto made = sign_assertion(*found, claims, algorithm);
        if (!made) co_return std::unexpected(std::move(made).error().while_doing(who_.certificate_file));
        co_return made;
    }

    [[nodiscard]] result<outgoing> request(std::string const& resource, secret const& proof) const {
        auto const scope = resource + "/.default";
        std::vector<form_field> fields = {
            {"grant_type", "client_credentials"}, {"client_id", who_.client_id}, {"scope", scope}};
        if (who_.secret_file.empty())
            fields.push_back({"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"});
        fields.push_back({who_.secret_file.empty() ? "client_assertion" : "client_secret", text_of(proof)});
        outgoing out;
        out.method = "POST";
        out.to = at_;
        out.target = target_;
        out.body_type = "application/x-www-form-urlencoded";
        SCRATCHD_TRY(out.body, form_body(fields));
        return out;
    }

    endpoint at_;
    std::string target_;
    identity_config who_;
    identity_tools tools_;
};

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

}  // namespace

result<std::shared_ptr<identity_source>> make_login_identity(identity_config const& who, identity_tools tools) {
    auto wrong = [&](std::string_view what) {
        return fail(errc::config_value, fmt::format("[[identity]] {}: {}", who.name, what));
    };
    if (!is_id(who.tenant)) return wrong("tenant is no directory id or domain");
    if (!is_id(who.client_id)) return wrong("client_id is no application id");
    int const proofs =
        (who.secret_file.empty() ? 0 : 1) + (who.certificate_file.empty() ? 0 : 1) + (who.token_file.empty() ? 0 : 1);
    bool const is_federated = who.source == "workload-identity";
    if (proofs != 1 || is_federated == who.token_file.empty())
        return wrong(is_federated ? "give token_file and no other proof" : "give secret_file or certificate_file");
    if (is_federated && !who.token_file.starts_with('/')) return wrong("token_file is no absolute path");
    if (!who.algorithm.empty() && who.algorithm != "PS256" && who.algorithm != "RS256")
        return wrong("algorithm is PS256 or RS256");
    auto at = parse_authority(tools.login);
    if (!at) return wrong("the login service has no valid name");
    return std::make_shared<login_identity>(*std::move(at), who, std::move(tools));
}

}  // namespace scratchd::vault
