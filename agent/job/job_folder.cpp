#include "agent/job/job_folder.hpp"

#include "agent/base/handle.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <cerrno>

namespace scratchd {

result<> make_job_folder(int root_fd, std::string const& name, uid_t uid, gid_t gid) {
    if (::mkdirat(root_fd, name.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno("make the folder of job " + name);
    unique_fd const folder(::openat(root_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st{};
    if (!folder || ::fstat(folder.get(), &st) != 0) return fail_errno("open the folder of job " + name);
    // Root's own folder is one that was just made, or that a crash left between making and giving away.
    if (st.st_uid != uid && st.st_uid != 0)
        return fail(errc::job_differs, fmt::format("the folder of job {} belongs to uid {}", name, st.st_uid));
    if (::fchown(folder.get(), uid, gid) != 0 || ::fchmod(folder.get(), 0700) != 0)
        return fail_errno("give the folder of job " + name + " to its user");
    return {};
}

}  // namespace scratchd
