// Where credentials come from and who may have them. docs/configuration.md says what each key means.
//
// Both daemons read the same file: scratchd makes a job's files and sockets from it, the broker fills them. No value
// here is a secret; what is one is a file that root owns, named by these.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace scratchd {

struct broker_config {
    std::string provider = "directory";                   // or "azure-key-vault"
    std::string directory = "/etc/scratchd/credentials";  // files of root, 0400: secrets of the provider "directory",
                                                          // and what identities prove themselves with
    std::chrono::milliseconds max_age{300000};  // no credential that is served was fetched longer ago than this
    std::chrono::milliseconds stale{0};         // while the vault is away, this much longer
    std::chrono::milliseconds budget{20000};    // what all credentials of one begin may take
    std::string cloud = "public";               // or "china", "us-government"
    std::string vault_suffix;                   // instead of the cloud's: "vault.example.net"
    std::string login_host;                     // instead of the cloud's
    std::string registry_suffix;                // instead of the cloud's: "azurecr.io"
    std::string ca_file;                        // instead of the system's certificate authorities
    std::string api_version = "7.4";            // of Key Vault
};

// Who the broker is when it asks for a token. Without any, there is one: name "default", source "imds".
struct identity_config {
    std::string name;
    std::string source;            // "imds", "service-principal", "workload-identity", "arc", "ml-compute"
    std::string client_id;         // imds: the user-assigned identity's; else the application's
    std::string object_id;         // imds: instead of client_id
    std::string resource_id;       // imds, arc: instead of client_id
    std::string tenant;            // service-principal, workload-identity
    std::string secret_file;       // service-principal, ml-compute: a file in [broker] directory
    std::string certificate_file;  // service-principal: a file in [broker] directory: PEM with key and certificate
    std::string algorithm;         // of the certificate's assertion: "PS256" (default) or "RS256"
    std::string token_file;        // workload-identity: absolute path of the federated token
    std::string endpoint;          // arc, ml-compute: http://127.0.0.1:40342/metadata/identity/oauth2/token
};

struct credential_config {
    std::string name;         // [A-Za-z0-9][A-Za-z0-9._-]*, at most 64
    std::string kind;         // "storage", "registry", "ssh", "secret"
    std::string vault;        // azure-key-vault: https://contoso.vault.azure.net
    std::string secret_name;  // its name in the vault or the directory; absent: `name`
    std::string version;      // absent: the newest
    std::string identity = "default";
    std::vector<std::string> users;  // absent with groups and units: every job that asks
    std::vector<std::string> groups;
    std::vector<std::string> units;  // systemd units that may load it
    std::string registry;            // registry: host or host:port, as docker names it
    std::string username;            // registry: the login name; with exchange it has its own
    bool exchange = false;           // registry: an identity token is exchanged for the login; no secret is stored
    std::vector<std::string> hosts;  // ssh: SHA256:... fingerprints of host keys the key may log in to; absent: all
    std::string account;             // storage
    std::string container;           // storage
    std::string endpoint;            // storage: instead of https://ACCOUNT.blob.core.windows.net
    std::string format = "sas";      // storage: what the secret is: "sas", "key", "connection-string"
    std::vector<std::string> write;  // storage: configuration files beside the secret: "rclone", "blobfuse2"
};

}  // namespace scratchd
