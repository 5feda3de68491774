// Whether a live dm-crypt table is the one that was asked for. Pure: the caller reads the table from the kernel.
//
// The format: Linux Documentation/admin-guide/device-mapper/dm-crypt.rst,
//   <cipher> [<key>|:<key_size>:<key_type>:<key_description>] <iv_offset> <device path> <offset> [<#opt> <opt>...]
#pragma once

#include "agent/base/error.hpp"
#include "dmcrypt/devmapper.hpp"

#include <sys/types.h>
#include <cstdint>
#include <string>
#include <vector>

namespace scratchd {

inline constexpr std::size_t volume_key_bytes = 64;  // two AES-256 keys, for XTS
inline constexpr int volume_sector_bytes = 4096;
inline constexpr char volume_cipher[] = "aes-xts-plain64";

struct expected_table {
    dev_t below = 0;            // the only device it may use
    std::uint64_t sectors = 0;  // its whole length, in 512-byte sectors
};

// Any difference is table_mismatch and says which: another cipher, a key that stands in the table, another device,
// an offset, a sector size, discards allowed, more than one target.
result<> verify_crypt_table(std::vector<dm::target> const& live, expected_table const& expected);

}  // namespace scratchd
