#include "agent/vault/secret_file.hpp"

#include "agent/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

namespace scratchd::vault {
namespace {

constexpr std::size_t longest_challenge = 4096;

result<secret> read_regular(int fd, std::size_t limit, std::string const& name) {
    struct stat st{};
    if (::fstat(fd, &st) != 0) return fail_errno("fstat " + name);
    if (!S_ISREG(st.st_mode)) return fail(errc::io, name + " is not a regular file");
    SCRATCHD_TRY(auto out, secret::make(limit + 1));
    std::size_t used = 0;
    while (used < out.size()) {
        auto const n = ::read(fd, out.bytes().data() + used, out.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read " + name);
        if (n == 0) break;
        used += static_cast<std::size_t>(n);
    }
    if (used > limit) return fail(errc::io, name, EFBIG);
    if (used == 0) return fail(errc::io, name + " is empty");
    out.truncate(used);
    return out;
}

bool is_challenge_name(std::string_view name) {
    constexpr std::string_view end = ".key";
    return name.size() > end.size() && name.size() <= 128 && name.ends_with(end) && name.front() != '.' &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '_' || c == '.';
           });
}

}  // namespace

result<secret> read_secret_file(std::filesystem::path const& path, std::size_t limit) {
    SCRATCHD_TRY(auto const fd, open_file(path, O_RDONLY | O_NOCTTY | O_NONBLOCK));
    return read_regular(fd.get(), limit, path.string());
}

result<secret> read_arc_challenge(std::string const& path, std::string const& folder) {
    std::string_view name = path;
    if (!name.starts_with(folder) || !name.substr(folder.size()).starts_with('/'))
        return fail(errc::vault_untrusted, "Azure Arc names a file outside " + folder);
    name.remove_prefix(folder.size() + 1);
    if (!is_challenge_name(name)) return fail(errc::vault_untrusted, "Azure Arc names no file NAME.key in " + folder);
    SCRATCHD_TRY(auto const at, open_file(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    unique_fd const fd(
        ::openat(at.get(), std::string(name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
    if (!fd) return fail_errno("open " + path);
    return read_regular(fd.get(), longest_challenge, path);
}

}  // namespace scratchd::vault
