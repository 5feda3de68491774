#include "agent/config/keys.hpp"

#include <algorithm>
#include <cctype>

namespace scratchd {
namespace {

bool all_of(std::string_view text, std::string_view more) {
    return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
        return std::isalnum(c) != 0 || more.contains(static_cast<char>(c));
    });
}

// A name becomes a file's name and a word on a command line.
bool is_name(std::string_view text) {
    return text.size() <= 64 && all_of(text, "._-") && std::isalnum(static_cast<unsigned char>(text.front())) != 0;
}
bool is_host(std::string_view text) {
    return text.size() <= 253 && all_of(text, ".-:") && std::isalnum(static_cast<unsigned char>(text.front())) != 0 &&
           std::ranges::none_of(text, [](unsigned char c) { return std::isupper(c) != 0; });
}
bool is_https_url(std::string_view text) {
    return text.starts_with("https://") && is_host(text.substr(8));
}
bool is_local_url(std::string_view text) {
    return text.starts_with("http://127.0.0.1:") || text.starts_with("http://localhost:") ||
           text.starts_with("http://169.254.169.254/");
}
// [0-9a-zA-Z-] up to 127 (Key Vault, "About keys, secrets, and certificates"); the directory takes the same.
bool is_secret_name(std::string_view text) {
    return text.size() <= 127 && all_of(text, "-");
}
bool is_version(std::string_view text) {
    return text.size() == 32 && all_of(text, "");
}
bool is_id(std::string_view text) {
    return text.size() <= 512 && all_of(text, "-._/");
}
bool is_account_name(std::string_view text) {
    return text.size() <= 256 && all_of(text, "._-@+");
}
bool is_fingerprint(std::string_view text) {
    return text.starts_with("SHA256:") && text.size() == 7 + 43 && all_of(text.substr(7), "+/");
}
bool is_unit(std::string_view text) {
    return text.size() <= 255 && all_of(text, ":-_.\\@") && text.contains('.');
}

constexpr text_rule name_rule{is_name, "a name of letters, digits and . _ -, at most 64"};
constexpr text_rule host_rule{is_host, "a host name in lower case, with a port where it is not 443"};
constexpr text_rule file_rule{is_name, "the name of a file in [broker] directory"};
constexpr text_rule path_rule{is_absolute_path, "an absolute path without .."};
constexpr text_rule id_rule{is_id, "an id as the portal shows it"};

using text_of_credential = std::string credential_config::*;
using list_of_credential = words credential_config::*;

key of(std::string_view name, text_rule rule, text_of_credential member) {
    return text(name, rule, [member](config& c, std::size_t n) -> std::string& { return c.credentials[n].*member; });
}
key of(std::string_view name, text_rule rule, list_of_credential member) {
    return text_list(name, rule, [member](config& c, std::size_t n) -> words& { return c.credentials[n].*member; });
}
key of(std::string_view name, text_rule rule, std::string identity_config::* member) {
    return text(name, rule, [member](config& c, std::size_t n) -> std::string& { return c.identities[n].*member; });
}
key of(std::string_view name, text_rule rule, std::string broker_config::* member) {
    return text(name, rule, [member](config& c, std::size_t) -> std::string& { return c.broker.*member; });
}
key of(std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most,
       std::chrono::milliseconds broker_config::* member) {
    return duration(name, least, most,
                    [member](config& c, std::size_t) -> std::chrono::milliseconds& { return c.broker.*member; });
}

std::vector<key> section_keys() {
    using namespace std::chrono_literals;
    using b = broker_config;
    return {
        choice("broker.provider", {"directory", "azure-key-vault"},
               [](config& c, std::size_t) -> std::string& { return c.broker.provider; }),
        of("broker.directory", path_rule, &b::directory),
        of("broker.max_age", 1s, 1h, &b::max_age),
        of("broker.stale", 0s, 24h, &b::stale),
        of("broker.budget", 1s, 10min, &b::budget),
        choice("broker.cloud", {"public", "china", "us-government"},
               [](config& c, std::size_t) -> std::string& { return c.broker.cloud; }),
        of("broker.vault_suffix", host_rule, &b::vault_suffix),
        of("broker.login_host", host_rule, &b::login_host),
        of("broker.registry_suffix", host_rule, &b::registry_suffix),
        of("broker.ca_file", path_rule, &b::ca_file),
        of("broker.api_version", {is_id, "a version as the service names it"}, &b::api_version),
    };
}

std::vector<key> identity_keys() {
    using i = identity_config;
    return {
        of("identity.name", name_rule, &i::name),
        choice("identity.source", {"imds", "service-principal", "workload-identity", "arc", "ml-compute"},
               [](config& c, std::size_t n) -> std::string& { return c.identities[n].source; }),
        of("identity.client_id", id_rule, &i::client_id),
        of("identity.object_id", id_rule, &i::object_id),
        of("identity.resource_id", id_rule, &i::resource_id),
        of("identity.tenant", id_rule, &i::tenant),
        of("identity.secret_file", file_rule, &i::secret_file),
        of("identity.certificate_file", file_rule, &i::certificate_file),
        choice("identity.algorithm", {"", "PS256", "RS256"},
               [](config& c, std::size_t n) -> std::string& { return c.identities[n].algorithm; }),
        of("identity.token_file", path_rule, &i::token_file),
        of("identity.endpoint", {is_local_url, "an http:// address of this machine"}, &i::endpoint),
    };
}

std::vector<key> credential_keys() {
    using c = credential_config;
    return {
        of("credential.name", name_rule, &c::name),
        choice("credential.kind", {"storage", "registry", "ssh", "secret"},
               [](config& all, std::size_t n) -> std::string& { return all.credentials[n].kind; }),
        of("credential.vault", {is_https_url, "https:// and the vault's host, nothing behind it"}, &c::vault),
        of("credential.secret", {is_secret_name, "letters, digits and dashes, at most 127"}, &c::secret_name),
        of("credential.version", {is_version, "32 hexadecimal digits"}, &c::version),
        of("credential.identity", name_rule, &c::identity),
        of("credential.users", {is_account_name, "a user's name"}, &c::users),
        of("credential.groups", {is_account_name, "a group's name"}, &c::groups),
        of("credential.units", {is_unit, "a systemd unit's name"}, &c::units),
        of("credential.registry", host_rule, &c::registry),
        of("credential.username", {is_account_name, "a login name"}, &c::username),
        flag("credential.exchange", [](config& all, std::size_t n) -> bool& { return all.credentials[n].exchange; }),
        of("credential.hosts", {is_fingerprint, "a host key's fingerprint as ssh-keygen -l prints it: SHA256:..."},
           &c::hosts),
        of("credential.account", name_rule, &c::account),
        of("credential.container", name_rule, &c::container),
        of("credential.endpoint", {is_https_url, "https:// and a host, nothing behind it"}, &c::endpoint),
        choice("credential.format", {"sas", "key", "connection-string"},
               [](config& all, std::size_t n) -> std::string& { return all.credentials[n].format; }),
        of("credential.write",
           {[](std::string_view t) { return t == "rclone" || t == "blobfuse2"; }, "\"rclone\" or \"blobfuse2\""},
           &c::write),
    };
}

}  // namespace

std::vector<key> broker_keys() {
    auto all = section_keys();
    for (auto* const list : {&identity_keys, &credential_keys}) {
        auto more = (*list)();
        all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    return all;
}

}  // namespace scratchd
