// When to ask again, and after how long. Pure decisions; who waits stands in ask.hpp.
//
// Sources: Microsoft's "How to use managed identities on a VM to acquire an access token" (retry guidance) and "Azure
// Key Vault throttling guidance" (1, 2, 4, 8, 16 s). Key Vault's real 429 has no Retry-After (AzureSignTool#219).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace scratchd::vault {

enum class service : std::uint8_t { identity_endpoint, login, vault };

struct tried {
    unsigned attempts = 1;                           // made so far
    int status = 0;                                  // of the last answer; 0: there was none
    std::chrono::milliseconds elapsed{0};            // since the first attempt
    std::optional<std::chrono::milliseconds> asked;  // what the answer asked us to wait
};

// How long to wait before the next attempt; nothing: give up. `chance` is from 0 to below 1.
std::optional<std::chrono::milliseconds> wait_before_next(service who, tried const& so_far, double chance);

// Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3), or a number of milliseconds, which wins. At most a day.
std::optional<std::chrono::milliseconds> asked_to_wait(std::string_view retry_after, std::string_view retry_after_ms,
                                                       std::int64_t wall_seconds);

// After a 401 with a token: once with a new token; while the vault cannot resolve the signature's key (AKV10046, which
// passes), twice with the same one after a short wait.
enum class after_401 : std::uint8_t { give_up, same_token, new_token };
after_401 decide_after_401(bool is_key_unresolved, unsigned same_token_tries, bool token_was_renewed);

}  // namespace scratchd::vault
