#include "agent/daemon/source_files.hpp"

#include "agent/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <cerrno>

namespace scratchd {

std::set<std::string> source_names(config const& from) {
    std::set<std::string> names;
    for (auto const& i : from.identities)
        for (auto const& name : {i.secret_file, i.certificate_file})
            if (!name.empty()) names.insert(name);
    if (from.broker.provider == "directory")
        for (auto const& c : from.credentials) names.insert(c.secret_name.empty() ? c.name : c.secret_name);
    return names;
}

result<unique_fd> open_source(std::filesystem::path const& folder, std::string const& name) {
    auto const where = (folder / name).string();
    auto const base = open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!base)
        return fail(base.error().sys == ENOENT ? errc::secret_missing : errc::source_insecure, folder.string(),
                    base.error().sys);
    struct stat st{};
    if (::fstat(base->get(), &st) != 0) return fail_errno("stat " + folder.string());
    if (st.st_uid != ::geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(errc::source_insecure, folder.string() + " can be changed by others than root");
    unique_fd file(::openat(base->get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file) return fail_errno(where, errno == ENOENT ? errc::secret_missing : errc::source_insecure);
    if (::fstat(file.get(), &st) != 0) return fail_errno("stat " + where);
    if (!S_ISREG(st.st_mode)) return fail(errc::source_insecure, where + " is not a regular file");
    if (st.st_uid != ::geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(errc::source_insecure, where + " can be read by others than root");
    return file;
}

}  // namespace scratchd
