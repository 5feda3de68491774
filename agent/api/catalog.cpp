#include "agent/api/catalog.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace scratchd {
namespace {

constexpr std::string_view untouched = "untouched";
constexpr std::string_view not_clean = "not clean: no job begins until a wipe succeeds";
constexpr std::string_view as_before = "as before: `scratchctl status` tells";
constexpr std::string_view key_dead = "its key is destroyed, so its data is unreadable; the node takes no job";
constexpr std::string_view see_status = "scratchctl status";
constexpr std::string_view wipe_again = "scratchctl wipe --yes";
constexpr std::string_view check_config = "scratchctl config check";

using enum errc;
constexpr auto failed = exit_code::failed;
constexpr auto usage = exit_code::usage;
constexpr auto busy = exit_code::busy;
constexpr auto refused = exit_code::refused;
constexpr auto evidence = exit_code::evidence_broken;
constexpr auto configuration = exit_code::configuration;

constexpr catalog_entry entries[] = {
    {internal, "a fault in scratchd", not_clean, "journalctl -u scratchd; report it", failed, 500},
    {io, "a system call failed", not_clean, see_status, failed, 500},
    {timed_out, "it took longer than allowed", not_clean, "scratchctl job end ID --timeout 120", exit_code::timed_out,
     504},
    {not_permitted, "the caller may not do this", as_before, "run it as root or as a member of group scratchd",
     exit_code::not_permitted, 403},
    {bad_request, "the request is not understood", as_before, "scratchctl --help", usage, 400},
    {kernel_lacks, "the kernel lacks what encryption needs", "not in use: nothing was encrypted, so nothing is offered",
     "modprobe dm-crypt; then systemctl restart scratchd", failed, 500},
    {program_missing, "a program that makes the file system is not installed", not_clean,
     "apt-get install e2fsprogs xfsprogs; then scratchctl wipe --yes", failed, 500},
    {program_failed, "a program could not be started", not_clean, wipe_again, failed, 500},
    {no_memory, "memory could not be had or locked", not_clean, "raise LimitMEMLOCK= of scratchd.service", failed, 500},

    {config_missing, "there is no configuration file", untouched, "install one: /usr/share/doc/scratchd/scratchd.toml",
     configuration, 500},
    {config_syntax, "the configuration is not TOML", untouched, check_config, configuration, 500},
    {config_value, "the configuration has a wrong key or value", untouched, check_config, configuration, 500},
    {config_insecure, "others than root can change the configuration", untouched, "chown root: FILE; chmod go-w FILE",
     configuration, 500},
    {hbi_sealed, "hbi was decided at the node's first start and cannot change", untouched,
     "set hbi back, or install the node anew from its image", refused, 403},
    {not_configured, "no disk is configured", untouched, "name disks in /etc/scratchd/scratchd.toml: [scratch] disks",
     busy, 503},

    {disk_unknown, "there is no such disk", untouched, "scratchctl disks", configuration, 500},
    {disk_in_use, "the disk is in use", untouched, "scratchctl disks; end that use, then systemctl restart scratchd",
     failed, 500},
    {disk_is_system, "the disk carries the running system", untouched, "take it out of [scratch] disks", configuration,
     500},
    {disk_read_only, "the disk is read-only", untouched, "blockdev --setrw, or take it out of [scratch] disks", failed,
     500},
    {disk_foreign, "the disk holds something that scratchd did not put there", untouched,
     "look at it; if all on it may be lost: [scratch] adopt = \"erase\"", refused, 403},
    {disk_changed, "another disk came under this name", untouched, "scratchctl disks; then systemctl restart scratchd",
     failed, 500},
    {disk_too_small, "the disk is too small", untouched, "take it out of [scratch] disks", configuration, 500},

    {keyring_refused, "the kernel keyring did not take or give up the key", not_clean,
     "cat /proc/keys; sysctl kernel.keys.root_maxkeys; then scratchctl wipe --yes", failed, 500},
    {table_mismatch, "the kernel's mapping is not the one that was asked for", not_clean, wipe_again, failed, 500},
    {not_encrypting, "what was written did not reach the disk as ciphertext", not_clean,
     "dmsetup table; take the node out and report it", failed, 500},
    {key_repeated, "the machine drew a key that it used before", not_clean,
     "this machine was restored or cloned: reboot it, then scratchctl status", failed, 500},
    {mkfs_failed, "the file system could not be made", not_clean, wipe_again, failed, 500},
    {mount_failed, "the file system could not be mounted", not_clean, wipe_again, failed, 500},
    {mount_invisible, "jobs would not see what scratchd mounts", untouched,
     "remove ProtectSystem=, PrivateTmp= and the like from scratchd.service", failed, 500},
    {mount_point_unsafe, "the mount point is in use or others can change it", untouched,
     "choose another [scratch] mount", configuration, 500},

    {job_id_invalid, "the job id cannot be used", as_before, "give letters, digits and . _ - + , @ [ ], at most 64",
     usage, 400},
    {user_unknown, "there is no such user", as_before, "getent passwd USER", usage, 400},
    {device_held, "somebody still holds scratch", key_dead,
     "end what holds it, then scratchctl job end ID --timeout 60", failed, 500},
    {job_differs, "the job began with other settings", as_before, "scratchctl job end ID; then begin it again", refused,
     409},
    {node_not_ready, "the node is not ready for this", as_before, "scratchctl status; try again", busy, 503},
    {job_unknown, "no such job holds this node", as_before, "scratchctl job list", refused, 404},
    {node_failed, "the node failed an earlier step and takes no job", not_clean,
     "scratchctl status; then scratchctl wipe --yes", failed, 503},
    {cgroup_refused, "the control group cannot be given to a job", as_before, "give the job's own cgroup v2 folder",
     refused, 403},
    {jobs_running, "jobs hold the volume", as_before, "scratchctl job list; end them first", busy, 409},
    {processes_survive, "processes of the job do not die",
     "closed to every other job: `scratchctl status` tells whether its key lives",
     "find what they wait for (state D), then scratchctl job end ID", failed, 500},

    {state_full, "the state folder is full", not_clean,
     "free space below /var/lib/scratchd, then scratchctl wipe --yes", failed, 507},
    {journal_broken, "the journal does not verify", not_clean, "scratchctl report verify; then scratchctl wipe --yes",
     failed, 500},
    {already_running, "another scratchd runs on this state folder", as_before, "systemctl status scratchd", busy, 503},
    {state_insecure, "a file in the state folder does not verify or others can read it", untouched,
     "ls -l /var/lib/scratchd", failed, 500},

    {record_changed, "a record was changed", as_before, "compare with the copy off this node", evidence, 500},
    {record_missing, "a record is missing", as_before, "compare with the copy off this node", evidence, 404},
    {record_misplaced, "a record stands in the wrong place", as_before, "compare with the copy off this node", evidence,
     500},
    {record_forged, "a record was not signed by this node's key", as_before, "compare with the copy off this node",
     evidence, 500},
    {record_unreadable, "a record cannot be read", as_before, "compare with the copy off this node", evidence, 500},
    {record_unknown, "there is no record of that number yet", as_before, "scratchctl report list", usage, 404},

    {key_not_dead, "it could not be proven that the key is destroyed", not_clean,
     "take the node out; reboot it: the key dies with the kernel", failed, 500},
    {wipe_cancelled, "the wipe was cancelled", not_clean, wipe_again, failed, 500},
    {method_refused, "this method is not possible here", as_before, "scratchctl wipe --dry-run", refused, 403},

    {daemon_unreachable, "scratchd does not answer", "unknown to this command: treat it as not clean",
     "systemctl status scratchd", exit_code::unreachable, 503},
    {bad_reply, "scratchd gave an answer that is not understood", "unknown to this command: treat it as not clean",
     "scratchctl version; scratchd --version", exit_code::unreachable, 502},

    {credential_unknown, "no credential of that name is there for this job", untouched,
     "scratchctl config show; scratchctl credential list", refused, 404},
    {credential_denied, "this user may not have the credential", untouched,
     "add the user to its [[credential]] users or groups", refused, 403},
    {credential_gone, "the credential was withdrawn", untouched,
     "look at it in the vault; then scratchctl credential resync", failed, 410},
    {credential_format, "the secret is not what its kind needs", untouched,
     "look at its value in the vault: docs/credentials.md", failed, 500},
    {source_insecure, "a secret's file can be read or changed by others than root", untouched,
     "chown root: FILE; chmod 0400 FILE", configuration, 500},
    {broker_unreachable, "scratchd-broker does not answer", untouched, "systemctl status scratchd-broker",
     exit_code::unreachable, 503},
    {secret_missing, "the vault has no such secret", untouched,
     "look at [[credential]] vault and secret; then scratchctl credential resync", refused, 404},
    {secret_disabled, "the secret is disabled in the vault", untouched, "enable it; then scratchctl credential resync",
     refused, 403},
    {secret_expired, "the secret is not valid now", untouched,
     "look at its activation and expiration dates; renew it; then scratchctl credential resync", refused, 403},
    {vault_denied, "the vault refuses this node's identity", untouched,
     "give the identity Get on secrets; then scratchctl credential resync", refused, 403},
    {vault_throttled, "the vault or identity endpoint answers too many requests", untouched,
     "try again; spread credentials over several vaults", busy, 503},
    {vault_unreachable, "the vault or identity endpoint cannot be reached", untouched,
     "look at its name, the network and the firewall; then scratchctl credential resync", failed, 503},
    {vault_untrusted, "the other end is not proven to be the vault", untouched,
     "look at [broker] cloud, vault_suffix and ca_file, and at who answers at that address", failed, 502},
    {vault_malformed, "the vault or identity endpoint gave an answer that is not understood", untouched,
     "journalctl -u scratchd-broker", failed, 502},
    {identity_refused, "no token for this node's identity", untouched,
     "look at [[identity]] and at what is assigned to this machine; then scratchctl credential resync", refused, 403},
};

}  // namespace

std::span<catalog_entry const> catalog() {
    return entries;
}

catalog_entry const& explain(errc code) {
    auto const* const found = std::ranges::find(entries, code, &catalog_entry::code);
    return found != std::end(entries) ? *found : entries[0];
}

std::string full_text(error const& e) {
    auto const& entry = explain(e.code);
    return fmt::format("{} {}: {}\n  disk: {}\n  next: {}", code_text(e.code), entry.title, e.message(), entry.disk,
                       entry.next);
}

}  // namespace scratchd
