#include "agent/ipc/listen.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cstring>

namespace scratchd::ipc {

result<unique_fd> listen_at(std::filesystem::path const& path, mode_t mode, std::string const& group_name) {
    auto const temporary = path.string() + ".new";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (temporary.size() >= sizeof address.sun_path)
        return fail(errc::config_value, "the socket's path is too long: " + path.string());
    std::memcpy(address.sun_path, temporary.data(), temporary.size());
    unique_fd made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made) return fail_errno("socket");
    (void)::unlink(temporary.c_str());
    if (::bind(made.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
        return fail_errno("bind " + temporary);
    if (::chmod(temporary.c_str(), mode) != 0) return fail_errno("chmod " + temporary);
    if (struct group const* found = ::getgrnam(group_name.c_str());
        found != nullptr && ::chown(temporary.c_str(), 0, found->gr_gid) != 0)
        return fail_errno("chown " + temporary);
    if (::listen(made.get(), SOMAXCONN) != 0) return fail_errno("listen " + temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename " + temporary);
    return made;
}

}  // namespace scratchd::ipc
