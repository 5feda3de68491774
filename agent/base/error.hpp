// Errors as values: every operation that can fail returns result<T>.
//
// An error keeps what was being done, the errno and a code. The code is stable: it is printed as E0042, scripts and
// pages match on it, and it is never given a new meaning. What each means for the disk, the exit code and the next
// command stand in catalog.cpp. Exceptions are for std::bad_alloc and bugs only.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace scratchd {

enum class errc : std::uint16_t {
    // the program and its surroundings
    internal = 1,
    io = 2,
    timed_out = 3,
    not_permitted = 4,
    bad_request = 5,
    kernel_lacks = 6,
    program_missing = 7,
    program_failed = 8,
    no_memory = 9,
    // configuration
    config_missing = 10,
    config_syntax = 11,
    config_value = 12,
    config_insecure = 13,
    hbi_sealed = 14,
    not_configured = 15,
    // the disk
    disk_unknown = 20,
    disk_in_use = 21,
    disk_is_system = 22,
    disk_read_only = 23,
    disk_foreign = 24,
    disk_changed = 25,
    disk_too_small = 26,
    // the volume
    keyring_refused = 30,
    table_mismatch = 31,
    not_encrypting = 32,
    key_repeated = 33,
    mkfs_failed = 34,
    mount_failed = 35,
    mount_invisible = 36,
    mount_point_unsafe = 37,
    // jobs
    job_id_invalid = 40,
    user_unknown = 41,
    device_held = 42,
    job_differs = 43,
    node_not_ready = 44,
    job_unknown = 45,
    node_failed = 46,
    cgroup_refused = 47,
    jobs_running = 48,
    processes_survive = 49,
    // durable state
    state_full = 50,
    journal_broken = 51,
    already_running = 52,
    state_insecure = 53,
    // evidence
    record_changed = 60,
    record_missing = 61,
    record_misplaced = 62,
    record_forged = 63,
    record_unreadable = 64,
    record_unknown = 65,
    // the wipe
    key_not_dead = 70,
    wipe_cancelled = 71,
    method_refused = 72,
    // the client
    daemon_unreachable = 80,
    bad_reply = 81,
    // credentials
    credential_unknown = 90,
    credential_denied = 91,
    credential_gone = 92,
    credential_format = 93,
    source_insecure = 94,
    broker_unreachable = 95,
    secret_missing = 96,
    secret_disabled = 97,
    secret_expired = 98,
    vault_denied = 100,
    vault_throttled = 101,
    vault_unreachable = 102,
    vault_untrusted = 103,
    vault_malformed = 104,
    identity_refused = 105,
};

struct error {
    errc code = errc::internal;
    int sys = 0;       // errno, 0 when no system call failed
    std::string what;  // "umount /mnt/scratch", outermost step first

    // Puts the larger step in front: error{"umount x"}.while_doing("end of job 7") reads "end of job 7: umount x".
    [[nodiscard]] error while_doing(std::string_view step) &&;
    // The words with the errno's text, without the code.
    [[nodiscard]] std::string message() const;
};

// Printed form of a code: "E0042".
std::string code_text(errc code);

template <class T = void>
class [[nodiscard]] result : public std::expected<T, error> {
public:
    using std::expected<T, error>::expected;
};

// `sys` is an errno value, positive.
std::unexpected<error> fail(errc code, std::string what, int sys = 0);
// Takes errno, so call it before anything else can change it.
std::unexpected<error> fail_errno(std::string what, errc code = errc::io);

}  // namespace scratchd

#define SCRATCHD_JOIN_(a, b) a##b
#define SCRATCHD_JOIN(a, b) SCRATCHD_JOIN_(a, b)
#define SCRATCHD_TRY_(tmp, ret, decl, ...)                 \
    auto tmp = (__VA_ARGS__);                              \
    if (!tmp) ret std::unexpected(std::move(tmp).error()); \
    decl = *std::move(tmp)

// SCRATCHD_TRY(auto key, fresh_key()): binds the value or returns the error.
#define SCRATCHD_TRY(decl, ...) SCRATCHD_TRY_(SCRATCHD_JOIN(try_, __COUNTER__), return, decl, __VA_ARGS__)
// SCRATCHD_CHECK(sync(fd)): for results without a value, and values nobody needs.
#define SCRATCHD_CHECK(...)                                                                             \
    do {                                                                                                \
        if (auto checked = (__VA_ARGS__); !checked) return std::unexpected(std::move(checked).error()); \
    } while (false)
// The same in a coroutine.
#define SCRATCHD_CO_TRY(decl, ...) SCRATCHD_TRY_(SCRATCHD_JOIN(try_, __COUNTER__), co_return, decl, __VA_ARGS__)
