// A small file with a secret, read into locked memory.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/secret.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

namespace scratchd::vault {

// A regular file of 1 to `limit` bytes; follows links (a projected Kubernetes token is one). Errors: io.
result<secret> read_secret_file(std::filesystem::path const& path, std::size_t limit);

// Azure Arc's challenge: `path` must be FOLDER/NAME.key, no link, at most 4096 bytes. Whoever answers at the endpoint
// chooses the path, so that it is looked at before it is opened. Errors: vault_untrusted, io.
result<secret> read_arc_challenge(std::string const& path, std::string const& folder);

}  // namespace scratchd::vault
