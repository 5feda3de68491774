#include "cleanup/name_space.hpp"

#include "agent/base/file.hpp"
#include "cleanup/proc.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <ranges>
#include <thread>

namespace scratchd {
namespace {

template <class F>
auto inside(std::filesystem::path const& ns, F&& work) -> decltype(work()) {
    SCRATCHD_TRY(auto const fd, open_file(ns, O_RDONLY));
    decltype(work()) outcome = fail(errc::internal, "nothing was done in " + ns.string());
    std::thread([&] {
        if (::unshare(CLONE_FS) != 0 || ::setns(fd.get(), CLONE_NEWNS) != 0)
            outcome = fail_errno("enter " + ns.string());
        else outcome = work();
    }).join();
    return outcome;
}

}  // namespace

std::string namespace_name(std::filesystem::path const& ns) {
    std::error_code ec;
    auto const name = std::filesystem::read_symlink(ns, ec);
    return !ec && name.string().starts_with("mnt:[") ? name.string() : "";
}

namespace_mounts read_all_namespaces() {
    namespace_mounts all;
    for (auto const pid : all_processes()) {
        auto const folder = std::filesystem::path("/proc") / std::to_string(pid);
        auto const name = namespace_name(folder / "ns/mnt");
        if (name.empty() || all.contains(name)) continue;
        if (auto mounts = read_mounts(folder / "mountinfo")) all.emplace(name, *std::move(mounts));
    }
    return all;
}

result<std::vector<mount_entry>> mounts_inside(std::filesystem::path const& ns) {
    return inside(ns, [] { return read_mounts("/proc/thread-self/mountinfo"); });
}

result<> unmount_inside(std::filesystem::path const& ns, std::set<dev_t> const& devices) {
    return inside(ns, [&]() -> result<> {
        SCRATCHD_TRY(auto const mounts, read_mounts("/proc/thread-self/mountinfo"));
        for (auto const& m : mounts | std::views::reverse)
            if (devices.contains(m.device) && ::umount2(m.target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
                return fail_errno("unmount " + m.target + " in another mount namespace");
        return {};
    });
}

}  // namespace scratchd
