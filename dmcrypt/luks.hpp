// Activates a dm-crypt mapping through libcryptsetup: LUKS2, detached header in RAM, no key slot.
//
// The key reaches the kernel as a `logon` key, which no process can read back, and stands in no table. The key in the
// keyring is revoked as soon as the mapping has it: from then on the kernel's cipher state is the only copy.
// libcryptsetup is not thread-safe (cryptsetup issue 710): the thread that owns device-mapper calls this.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <filesystem>
#include <string>

namespace scratchd {

// Makes /dev/mapper/`name` over the whole of `device`. The key is copied by libcryptsetup into memory that it wipes.
result<> activate_luks(std::string const& name, std::filesystem::path const& device, secret const& key);

// Whether any key that libcryptsetup could have loaded is left in a keyring of root: names what it finds.
// Source: keyrings(7), /proc/keys.
result<std::string> leftover_volume_keys();

}  // namespace scratchd
