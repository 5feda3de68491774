// The node's scratch volume: one generation after another, each with its own key.
//
// One thread calls all of it. Every step that ends a volume can be repeated, and none of them trusts what was written
// down: they look at the kernel. kernel_volume.hpp is the real one; tests have one that behaves in memory.
#pragma once

#include "agent/base/check.hpp"
#include "agent/base/deadline.hpp"
#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"
#include "agent/base/secret.hpp"

#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace scratchd {

// Every device-mapper name of ours starts with it.
inline constexpr char mapping_prefix[] = "scratchd-";

// What one key made. Written to the journal, shown in the status; never holds the key.
struct generation {
    std::uint64_t number = 0;
    std::string mapping;               // dm name; /dev/mapper/<mapping>
    std::vector<std::string> devices;  // disks, as configured
    std::string mount;
    std::string cipher;
    int key_bits = 0;
    int sector_size = 0;
    std::uint64_t size_bytes = 0;
    std::string fingerprint;  // keyed hash of the key
    std::string canary;       // hash of the canary's ciphertext
};

// A mapping of ours that the kernel has, whoever made it.
struct remnant {
    std::string mapping;
    dev_t device = 0;
    bool live = false;  // its table reaches a disk; false: an error table, which only waits for its last user
    int open_count = 0;
};

struct create_request {
    std::uint64_t number = 0;
    std::string last_fingerprint;
    std::string last_canary;
    // Gets the new key before anything uses it; returns its fingerprint, or refuses a key that was seen before.
    std::function<result<std::string>(secret const&)> admit_key;
};

enum class ending : std::uint8_t {
    gone,    // the mapping no longer exists
    keyless  // the key is destroyed and the disk released; the empty mapping goes when its last user does
};

class volume {
public:
    virtual ~volume() = default;

    virtual result<std::vector<remnant>> survey() = 0;

    // Key, mapping, read-back, canary, comparison with the samples taken last, file system, mount. Adds what it proved
    // to `proven`. On failure what was made is taken down again as far as possible: survey() tells.
    virtual result<generation> create(create_request const& request, std::vector<check>& proven, deadline until) = 0;

    // Takes over a generation after a restart: its table, its mount and its device must be what the journal says.
    virtual result<> adopt(generation const& expected) = 0;

    // The root folder of the mounted generation.
    virtual result<unique_fd> open_root() = 0;

    // The steps that end a generation, in this order; each is safe to repeat.
    virtual result<> shut_down(remnant const& what) = 0;  // no more reads or writes, nothing flushed
    virtual result<> sample(remnant const& what) = 0;     // remembers hashes of what the key decrypts, while live
    virtual result<> detach(remnant const& what) = 0;     // out of the host's mount table
    virtual result<ending> destroy_key(remnant const& what) = 0;
    // No table with a key, no key in a keyring, nothing mounted; what still exists of it is in `pending`.
    virtual result<> prove_dead(std::vector<remnant> const& ended, std::vector<check>& proven,
                                std::vector<remnant>& pending) = 0;
};

}  // namespace scratchd
