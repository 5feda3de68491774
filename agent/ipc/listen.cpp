#include "agent/ipc/listen.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cerrno>
#include <cstring>

namespace scratchd::ipc {
namespace {

result<sockaddr_un> address_of(std::string const& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(errc::config_value, "the socket's path is too long: " + path);
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

result<unique_fd> make_socket(int type) {
    unique_fd made(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made) return fail_errno("socket");
    return made;
}

}  // namespace

gid_t group_id(std::string const& name) {
    struct group const* const found = ::getgrnam(name.c_str());
    return found != nullptr ? found->gr_gid : static_cast<gid_t>(-1);
}

result<unique_fd> listen_at(std::filesystem::path const& path, listen_options const& how) {
    auto const temporary = path.string() + ".new";
    SCRATCHD_TRY(auto const address, address_of(temporary));
    SCRATCHD_TRY(auto made, make_socket(how.type));
    (void)::unlink(temporary.c_str());
    if (::bind(made.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
        return fail_errno("bind " + temporary);
    if (::chmod(temporary.c_str(), how.mode) != 0) return fail_errno("chmod " + temporary);
    // The broker may not even ask for this call.
    bool const given = how.owner != static_cast<uid_t>(-1) || how.group != static_cast<gid_t>(-1);
    if (given && ::lchown(temporary.c_str(), how.owner, how.group) != 0) return fail_errno("chown " + temporary);
    if (::listen(made.get(), SOMAXCONN) != 0) return fail_errno("listen " + temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename " + temporary);
    return made;
}

result<unique_fd> connect_to(std::filesystem::path const& path, int type) {
    SCRATCHD_TRY(auto const address, address_of(path.string()));
    SCRATCHD_TRY(auto made, make_socket(type));
    if (::connect(made.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
        return fail_errno("connect " + path.string(),
                          errno == EACCES || errno == EPERM ? errc::not_permitted : errc::daemon_unreachable);
    return made;
}

}  // namespace scratchd::ipc
