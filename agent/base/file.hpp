// Small files, read whole and written so that a crash leaves the old or the new content, never a mixture.
#pragma once

#include "agent/base/error.hpp"
#include "agent/base/handle.hpp"

#include <sys/types.h>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace scratchd {

// open(2) with O_CLOEXEC added.
result<unique_fd> open_file(std::filesystem::path const& path, int flags, mode_t mode = 0);

// Reads at most `limit` bytes; more than that is an error, not a cut.
result<std::string> read_file(std::filesystem::path const& path, std::size_t limit = 1U << 20U);
result<std::string> read_fd(int fd, std::size_t limit);
// A sysfs or proc attribute: the first line without its newline.
result<std::string> read_line(std::filesystem::path const& path);

result<> write_all(int fd, std::string_view bytes);

// Writes a temporary file in the same folder, syncs it, renames it over `path` and syncs the folder.
result<> replace_file(std::filesystem::path const& path, std::string_view bytes, mode_t mode);

// Makes the entries of a folder durable (fsync on the folder, see fsync(2) NOTES).
result<> sync_folder(std::filesystem::path const& folder);

}  // namespace scratchd
