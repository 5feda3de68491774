#include "agent/vault/secret_reply.hpp"

#include "agent/base/time_text.hpp"
#include "agent/crypto/pkcs12.hpp"
#include "agent/crypto/secret_base64.hpp"
#include "agent/vault/document.hpp"
#include "agent/vault/secret_text.hpp"
#include "agent/vault/url.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

constexpr std::size_t longest_content_type = 255;

struct attributes {
    bool enabled = false;
    std::optional<std::int64_t> not_before;
    std::optional<std::int64_t> expires;
};

std::unexpected<error> malformed(std::string_view what) {
    return fail(errc::vault_malformed, fmt::format("the vault's answer: {}", what));
}

result<attributes> read_attributes(view reply) {
    auto const from = reply.object("attributes");
    auto const enabled = from.flag("enabled");
    if (!enabled) return malformed("attributes.enabled is not true or false");
    attributes out{*enabled, from.number("nbf"), from.number("exp")};
    if (from.has("nbf") && !out.not_before) return malformed("attributes.nbf is not a whole number");
    if (from.has("exp") && !out.expires) return malformed("attributes.exp is not a whole number");
    return out;
}

result<> check_usable(attributes const& from, std::string const& name, std::int64_t wall_seconds) {
    if (!from.enabled) return fail(errc::secret_disabled, name);
    if (from.not_before && wall_seconds < *from.not_before)
        return fail(errc::secret_expired, fmt::format("{} is valid from {}", name, time_text(*from.not_before)));
    if (from.expires && wall_seconds >= *from.expires)
        return fail(errc::secret_expired, fmt::format("{} was valid until {}", name, time_text(*from.expires)));
    return {};
}

// ".../secrets/NAME" or ".../secrets/NAME/VERSION" of this vault: name and version.
result<std::pair<std::string, std::string>> read_id(view reply, endpoint const& vault) {
    constexpr std::string_view folder = "/secrets/";
    auto const text = reply.text("id");
    if (!text) return malformed("id is not a text");
    auto const id = parse_link(*text);
    if (!id || !same_text(id->path.substr(0, folder.size()), folder) || !id->query.empty())
        return malformed("id is not that of a secret");
    if (id->to != vault) return fail(errc::vault_untrusted, "the vault answered with the secret of another vault");
    auto name = id->path.substr(folder.size());
    std::string version;
    if (auto const slash = name.find('/'); slash != std::string::npos) {
        version = name.substr(slash + 1);
        name.resize(slash);
        if (!is_version(version)) return malformed("id has no valid version");
    }
    if (!is_secret_name(name)) return malformed("id has no valid name");
    return std::pair(std::move(name), std::move(version));
}

result<std::string> read_content_type(view reply) {
    if (!reply.has("contentType")) return std::string();
    auto const text = reply.text("contentType");
    if (!text || text->size() > longest_content_type) return malformed("contentType is not a text of 255 characters");
    return std::string(*text);
}

// Key Vault marks a certificate that it manages by "managed" and by the "kid" of its key.
result<> unpack_certificate(fetched& out) {
    auto const packed = base64_decode_secret(text_of(out.value));
    if (!packed) return fail(errc::credential_format, "the managed certificate is not base64");
    SCRATCHD_TRY(out.value, pkcs12_to_pem(packed->bytes()));
    out.content_type = "application/x-pem-file";
    return {};
}

result<std::string> next_target(view reply, endpoint const& vault) {
    if (!reply.has("nextLink")) return std::string();
    auto const text = reply.text("nextLink");
    if (!text) return malformed("nextLink is not a text");
    if (text->empty()) return std::string();
    auto const next = parse_link(*text);
    if (!next) return malformed("nextLink is not a URL");
    if (next->to != vault) return fail(errc::vault_untrusted, "the list goes on at another host");
    if (!same_text(next->path, "/secrets")) return malformed("nextLink is not a list of secrets");
    return next->path + "?" + next->query;
}

}  // namespace

result<fetched> read_secret_reply(secret const& body, secret_wish const& wish, std::int64_t wall_seconds) {
    SCRATCHD_TRY(auto const reply, document::parse(text_of(body), vault_body_bytes, "the vault's answer"));
    auto const root = reply.root();
    SCRATCHD_TRY(auto id, read_id(root, wish.vault));
    if (!same_text(id.first, wish.name) || (!wish.version.empty() && !same_text(id.second, wish.version)))
        return fail(errc::vault_untrusted, fmt::format("the vault answered with another secret than {}", wish.name));
    SCRATCHD_TRY(auto const known, read_attributes(root));
    SCRATCHD_CHECK(check_usable(known, wish.name, wall_seconds));
    auto const value = root.text("value");
    if (!value || value->empty()) return malformed("value is not a text, or empty");
    fetched out;
    SCRATCHD_TRY(out.value, joined({*value}));
    SCRATCHD_TRY(out.content_type, read_content_type(root));
    out.version = std::move(id.second);
    out.expires = known.expires;
    bool const is_managed = root.flag("managed").value_or(false) || root.has("kid");
    if (is_managed && same_text(out.content_type, "application/x-pkcs12")) SCRATCHD_CHECK(unpack_certificate(out));
    return out;
}

result<list_page> read_list_reply(secret const& body, endpoint const& vault) {
    SCRATCHD_TRY(auto const reply, document::parse(text_of(body), vault_body_bytes, "the vault's answer"));
    auto const root = reply.root();
    auto const count = root.count("value");
    if (!count) return malformed("value is not a list of secrets");
    list_page out;
    for (std::size_t i = 0; i < *count; ++i) {
        auto const item = root.item("value", i);
        SCRATCHD_TRY(auto id, read_id(item, vault));
        SCRATCHD_TRY(auto const known, read_attributes(item));
        SCRATCHD_TRY(auto type, read_content_type(item));
        out.secrets.push_back({std::move(id.first), std::move(type), known.enabled,
                               item.flag("managed").value_or(false), known.not_before, known.expires});
    }
    SCRATCHD_TRY(out.next, next_target(root, vault));
    return out;
}

}  // namespace scratchd::vault
