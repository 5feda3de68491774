#include "agent/config/broker_rules.hpp"

#include "agent/config/schema.hpp"

#include <fmt/format.h>
#include <set>

namespace scratchd {
namespace {

// One table of a list: where its problems are said to be, and the ways to say them.
class table_rules {
public:
    table_rules(config const& c, std::string_view list, std::size_t item, std::string name)
        : config_(c), list_(list), item_(item), name_(std::move(name)) {}

    [[nodiscard]] std::unexpected<error> wrong(std::string_view key, std::string_view what) const {
        auto const at = origin_key(fmt::format("{}.{}", list_, key), item_);
        auto place = where_set(config_, at);
        if (place == "default") place = where_set(config_, origin_key(fmt::format("{}.name", list_), item_));
        return fail(errc::config_value, fmt::format("{}: {} \"{}\": {} {}", place, list_, name_, key, what));
    }
    [[nodiscard]] result<> needs(std::string_view key, std::string const& value, std::string_view why) const {
        if (value.empty()) return wrong(key, fmt::format("is missing: {}", why));
        return {};
    }
    [[nodiscard]] result<> refuses(std::string_view key, bool is_set, std::string_view why) const {
        if (is_set) return wrong(key, fmt::format("does not fit: {}", why));
        return {};
    }

private:
    config const& config_;
    std::string_view list_;
    std::size_t item_;
    std::string name_;
};

result<> check_identity(identity_config const& i, table_rules const& rules) {
    SCRATCHD_CHECK(rules.needs("source", i.source, "say where its tokens come from"));
    auto const selectors = int(!i.client_id.empty()) + int(!i.object_id.empty()) + int(!i.resource_id.empty());
    SCRATCHD_CHECK(rules.refuses("object_id", i.source != "imds" && !i.object_id.empty(), "it is for source imds"));
    if (selectors > 1) return rules.wrong("client_id", "and object_id and resource_id: give one of them");
    if (i.source == "service-principal") {
        SCRATCHD_CHECK(rules.needs("tenant", i.tenant, "a service principal belongs to one"));
        SCRATCHD_CHECK(rules.needs("client_id", i.client_id, "a service principal is known by it"));
        if (i.secret_file.empty() == i.certificate_file.empty())
            return rules.wrong("secret_file", "or certificate_file: give one of them");
    }
    if (i.source == "workload-identity") {
        SCRATCHD_CHECK(rules.needs("tenant", i.tenant, "the federated application belongs to one"));
        SCRATCHD_CHECK(rules.needs("client_id", i.client_id, "the federated application is known by it"));
        SCRATCHD_CHECK(rules.needs("token_file", i.token_file, "it holds the federated token"));
    }
    if (i.source == "ml-compute") {
        SCRATCHD_CHECK(rules.needs("endpoint", i.endpoint, "the value of MSI_ENDPOINT"));
        SCRATCHD_CHECK(rules.needs("secret_file", i.secret_file, "a file with the value of MSI_SECRET"));
    }
    return {};
}

result<> check_credential(credential_config const& c, config const& all, table_rules const& rules) {
    SCRATCHD_CHECK(rules.needs("kind", c.kind, "one of storage, registry, ssh, secret"));
    bool const azure = all.broker.provider == "azure-key-vault";
    if (azure && !c.exchange) SCRATCHD_CHECK(rules.needs("vault", c.vault, "[broker] provider is azure-key-vault"));
    SCRATCHD_CHECK(rules.refuses("exchange", c.exchange && !azure, "[broker] provider is not azure-key-vault"));
    SCRATCHD_CHECK(rules.refuses("version", !azure && !c.version.empty(), "a directory keeps no versions"));
    if (c.kind == "registry") {
        SCRATCHD_CHECK(rules.needs("registry", c.registry, "its host, with the port when it is not 443"));
        if (!c.exchange) SCRATCHD_CHECK(rules.needs("username", c.username, "the vault holds the password only"));
    } else {
        SCRATCHD_CHECK(rules.refuses("registry", !c.registry.empty() || c.exchange, "the kind is not registry"));
    }
    SCRATCHD_CHECK(
        rules.refuses("units", c.kind == "ssh" && !c.units.empty(), "a private key does not leave the broker"));
    if (azure && c.name.find_first_of("._") != std::string::npos && !c.exchange)
        SCRATCHD_CHECK(rules.needs("secret", c.secret_name, "a vault's names have letters, digits and dashes only"));
    SCRATCHD_CHECK(rules.refuses("hosts", c.kind != "ssh" && !c.hosts.empty(), "the kind is not ssh"));
    if (!c.write.empty()) {
        SCRATCHD_CHECK(rules.refuses("write", c.kind != "storage", "the kind is not storage"));
        SCRATCHD_CHECK(rules.refuses("write", c.format == "connection-string",
                                     "rclone and blobfuse2 take a SAS or a key, no connection string"));
        SCRATCHD_CHECK(rules.needs("account", c.account, "the configuration file names it"));
        SCRATCHD_CHECK(rules.needs("container", c.container, "the configuration file names it"));
        if (all.broker.cloud != "public")
            SCRATCHD_CHECK(rules.needs("endpoint", c.endpoint, "[broker] cloud has its storage elsewhere"));
    }
    if (c.identity != "default" || !all.identities.empty()) {
        bool known = c.identity == "default" && all.identities.empty();
        for (auto const& i : all.identities) known = known || i.name == c.identity;
        if (!known && azure) return rules.wrong("identity", fmt::format("\"{}\" is no [[identity]]", c.identity));
    }
    return {};
}

}  // namespace

std::string where_set(config const& c, std::string const& key) {
    auto const found = c.origins.find(key);
    return found != c.origins.end() ? found->second.text() : std::string("default");
}

result<> check_broker(config const& c) {
    std::set<std::string> seen;
    for (std::size_t n = 0; n < c.identities.size(); ++n) {
        table_rules const rules(c, "identity", n, c.identities[n].name);
        SCRATCHD_CHECK(rules.needs("name", c.identities[n].name, "credentials name it"));
        if (!seen.insert(c.identities[n].name).second) return rules.wrong("name", "is there twice");
        SCRATCHD_CHECK(check_identity(c.identities[n], rules));
    }
    seen.clear();
    for (std::size_t n = 0; n < c.credentials.size(); ++n) {
        table_rules const rules(c, "credential", n, c.credentials[n].name);
        SCRATCHD_CHECK(rules.needs("name", c.credentials[n].name, "jobs ask for it by name"));
        if (!seen.insert(c.credentials[n].name).second) return rules.wrong("name", "is there twice");
        SCRATCHD_CHECK(check_credential(c.credentials[n], c, rules));
    }
    return {};
}

}  // namespace scratchd
