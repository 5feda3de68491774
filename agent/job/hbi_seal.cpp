#include "agent/job/hbi_seal.hpp"

#include "agent/base/fields.hpp"
#include "agent/base/file.hpp"
#include "agent/job/signed_json.hpp"

#include <cerrno>

namespace scratchd {
namespace {

struct seal {
    std::string schema = "scratchd.hbi.1";
    bool hbi = false;
    std::string source;  // where the value came from: "scratchd.toml:2:7"
};

template <class A>
void fields(A& a, seal& s) {
    a("schema", s.schema);
    a("hbi", s.hbi);
    a("source", s.source);
}

char const* word(bool on) {
    return on ? "on" : "off";
}

}  // namespace

result<seal_outcome> enforce_hbi_seal(std::filesystem::path const& state, node_identity const& identity, bool hbi,
                                      std::string const& source, bool has_history) {
    auto const path = state / "hbi.seal";
    auto const text = read_file(path, 65536);
    if (!text && text.error().sys == ENOENT) {
        if (has_history) return fail(errc::hbi_sealed, path.string() + " was removed from a node that has records");
        SCRATCHD_TRY(auto const signed_text,
                     sign_json(json::write(seal{"scratchd.hbi.1", hbi, source}).as_object(), identity.signer()));
        SCRATCHD_CHECK(replace_file(path, signed_text, 0400));
        return seal_outcome::made;
    }
    if (!text) return fail(errc::hbi_sealed, path.string(), text.error().sys);
    SCRATCHD_TRY(auto const pem, identity.signer().public_pem());
    SCRATCHD_TRY(auto const key, verifying_key::from_pem(pem));
    auto const body = open_signed_json(*text, key);
    if (!body) return fail(errc::hbi_sealed, path.string() + " " + body.error().what);
    auto const sealed = json::read<seal>(*body);
    if (!sealed) return fail(errc::hbi_sealed, path.string() + " " + sealed.error().what);
    if (sealed->hbi != hbi)
        return fail(errc::hbi_sealed, std::string("hbi was sealed ") + word(sealed->hbi) + " at first start (" +
                                          sealed->source + "), the configuration now says " + word(hbi) + " (" +
                                          source + ")");
    return seal_outcome::unchanged;
}

}  // namespace scratchd
