#include "agent/vault/identity.hpp"

#include "agent/vault/url.hpp"

#include <fmt/format.h>

namespace scratchd::vault {
namespace {

std::unexpected<error> wrong(identity_config const& who, std::string_view what) {
    return fail(errc::config_value, fmt::format("[[identity]] {}: {}", who.name, what));
}

result<> check_selectors(identity_config const& who) {
    int const named =
        (who.client_id.empty() ? 0 : 1) + (who.object_id.empty() ? 0 : 1) + (who.resource_id.empty() ? 0 : 1);
    if (named > 1) return wrong(who, "give one of client_id, object_id, resource_id");
    if (who.source != "imds" && !who.object_id.empty()) return wrong(who, "object_id is for source imds only");
    if (who.source != "imds" && who.source != "arc" && !who.resource_id.empty())
        return wrong(who, "resource_id is for sources imds and arc only");
    if (who.source == "arc" && !who.client_id.empty()) return wrong(who, "an arc machine is chosen by resource_id");
    return {};
}

}  // namespace

result<std::shared_ptr<identity_source>> make_identity(identity_config const& who, identity_tools tools) {
    SCRATCHD_CHECK(check_selectors(who));
    if (who.source == "imds") return make_imds_identity(who, std::move(tools));
    if (who.source == "arc") return make_arc_identity(who, std::move(tools));
    if (who.source == "ml-compute") return make_ml_identity(who, std::move(tools));
    if (who.source == "service-principal" || who.source == "workload-identity")
        return make_login_identity(who, std::move(tools));
    return wrong(who, "source is one of imds, service-principal, workload-identity, arc, ml-compute");
}

}  // namespace scratchd::vault
