#include "agent/job/signed_json.hpp"

#include "agent/base/json.hpp"
#include "agent/crypto/digest.hpp"

#include <boost/json.hpp>

namespace scratchd {
namespace {

constexpr json::limits record_limits{4U << 20U, 16};

}  // namespace

result<std::string> sign_json(boost::json::object body, signing_key const& key) {
    SCRATCHD_TRY(auto const signature, key.sign(json::canonical(body)));
    body["signature"] = base64(as_bytes(signature));
    return json::canonical(body) + "\n";
}

result<boost::json::object> open_signed_json(std::string_view text, verifying_key const& key) {
    if (!text.ends_with('\n')) return fail(errc::record_unreadable, "cut short");
    text.remove_suffix(1);
    auto parsed = json::parse(text, record_limits);
    if (!parsed) return fail(errc::record_unreadable, parsed.error().what);
    if (!parsed->is_object() || json::canonical(*parsed) != text)
        return fail(errc::record_changed, "not in canonical form");
    auto body = std::move(parsed->as_object());
    auto const* stored = body.if_contains("signature");
    if (stored == nullptr || !stored->is_string()) return fail(errc::record_unreadable, "has no signature");
    auto const signature = base64_decode(std::string_view(stored->get_string()));
    if (!signature) return fail(errc::record_unreadable, "its signature is not base64");
    body.erase("signature");
    if (!key.verify(json::canonical(body), *signature))
        return fail(errc::record_forged, "its signature does not verify: it was changed, or not made by this key");
    return body;
}

}  // namespace scratchd
