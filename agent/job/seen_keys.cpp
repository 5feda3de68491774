#include "agent/job/seen_keys.hpp"

#include "agent/base/file.hpp"

#include <fcntl.h>
#include <cerrno>
#include <sstream>

namespace scratchd {
namespace {

constexpr std::size_t fingerprint_chars = 64;
constexpr std::size_t largest_file = 256U << 20U;  // four million keys

}  // namespace

result<seen_keys> seen_keys::open(std::filesystem::path const& state) {
    seen_keys opened(state / "keys.seen");
    auto const text = read_file(opened.path_, largest_file);
    if (!text && text.error().sys == ENOENT) return opened;
    if (!text) return std::unexpected(text.error());
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);)
        if (line.size() == fingerprint_chars) opened.seen_.insert(line);
    return opened;
}

result<> seen_keys::admit(std::string const& fingerprint) {
    if (seen_.contains(fingerprint))
        return fail(errc::key_repeated, "the new volume key was used before: this machine's random state was copied");
    // The newline in front ends a line that a crash tore.
    SCRATCHD_TRY(auto const fd, open_file(path_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
    SCRATCHD_CHECK(write_all(fd.get(), "\n" + fingerprint + "\n"));
    if (::fdatasync(fd.get()) != 0) return fail_errno("fdatasync " + path_.string());
    seen_.insert(fingerprint);
    return {};
}

}  // namespace scratchd
