// The volume key: random, made here, never stored.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <cstdint>
#include <string>

namespace scratchd {

// What must make two keys different even where the kernel's random state is the same: restored snapshots and cloned
// machines start with equal state, and kernels before 6.8 or without vmgenid do not notice.
struct key_context {
    std::string boot_id;
    std::string machine;  // product UUID and machine id
    std::uint64_t generation = 0;
    std::int64_t realtime_ns = 0;
    std::string last_fingerprint;
};

// 64 bytes for aes-xts-plain64: HKDF-SHA-512 of getrandom(2) and, where the processor has it, RDRAND, salted with the
// context. Fails rather than give a key whose halves are equal.
result<secret> fresh_volume_key(key_context const& context);

// What it is made of: the first half from getrandom(2), the second from RDRAND, zeros where the processor has none.
result<secret> volume_key_entropy();

// The pure part: `entropy` in, key out.
result<secret> derive_volume_key(secret const& entropy, key_context const& context);

// The context of this machine, now.
key_context current_key_context(std::uint64_t generation, std::string last_fingerprint);

}  // namespace scratchd
