#include "cleanup/cgroup.hpp"

#include "agent/base/file.hpp"
#include "cleanup/proc.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <algorithm>
#include <cerrno>
#include <fstream>

namespace scratchd {
namespace {

namespace fs = std::filesystem;

constexpr char hierarchy[] = "/sys/fs/cgroup";
constexpr long cgroup2_magic = 0x63677270;  // statfs(2)

result<> write_attribute(fs::path const& file, std::string_view value) {
    SCRATCHD_TRY(auto const fd, open_file(file, O_WRONLY));
    return write_all(fd.get(), value);
}

std::string own_cgroup(std::string const& pid) {
    auto const line = read_line("/proc/" + pid + "/cgroup");
    return line && line->starts_with("0::") ? line->substr(3) : "/";
}

bool contains(fs::path const& folder, std::string const& member) {
    auto const inner = fs::path(hierarchy + member).lexically_normal();
    return std::mismatch(folder.begin(), folder.end(), inner.begin(), inner.end()).first == folder.end();
}

std::vector<pid_t> members(fs::path const& folder) {
    std::vector<pid_t> pids;
    std::error_code ec;
    auto add = [&](fs::path const& group) {
        std::ifstream file(group / "cgroup.procs");
        for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
    };
    add(folder);
    for (auto it = fs::recursive_directory_iterator(folder, ec); !ec && it != fs::recursive_directory_iterator();
         it.increment(ec))
        if (it->is_directory(ec)) add(it->path());
    return pids;
}

result<bool> populated(int events_fd) {
    char text[256];
    auto const n = ::pread(events_fd, text, sizeof text, 0);
    if (n < 0 && errno == ENODEV) return false;  // removed meanwhile
    if (n < 0) return fail_errno("read cgroup.events");
    return !std::string_view(text, static_cast<std::size_t>(n)).contains("populated 0");
}

}  // namespace

result<fs::path> check_cgroup(std::string const& name) {
    auto const full = name.starts_with(hierarchy) ? fs::path(name) : fs::path(hierarchy + name);
    auto refuse = [&](std::string const& why) { return fail(errc::cgroup_refused, fmt::format("{} {}", name, why)); };
    if (!name.starts_with('/') || full != full.lexically_normal() || name.contains('\0'))
        return refuse("is no plain absolute path");
    if (full == fs::path(hierarchy) || full == fs::path(hierarchy) / "") return refuse("is the root of all cgroups");
    struct statfs kind{};
    struct stat st{};
    if (::statfs(full.c_str(), &kind) != 0 || ::lstat(full.c_str(), &st) != 0) return refuse("does not exist");
    if (kind.f_type != cgroup2_magic || !S_ISDIR(st.st_mode)) return refuse("is not a cgroup v2");
    if (st.st_uid != 0) return refuse("belongs to another user than root");
    if (contains(full, own_cgroup("self"))) return refuse("holds scratchd itself");
    if (contains(full, own_cgroup("1"))) return refuse("holds PID 1");
    return full;
}

result<cgroup_kill> kill_cgroup(fs::path const& folder, deadline until) {
    auto events = open_file(folder / "cgroup.events", O_RDONLY);
    if (!events && events.error().sys == ENOENT) return cgroup_kill{};
    SCRATCHD_TRY(auto const watch, std::move(events));
    // Frozen processes cannot fork: the count is exact and a fork storm cannot outrun the kill.
    (void)write_attribute(folder / "cgroup.freeze", "1");
    cgroup_kill done{members(folder).size()};
    SCRATCHD_CHECK(write_attribute(folder / "cgroup.kill", "1"));
    // The kernel lets frozen processes die, but what is already in a stop may wait for the thaw.
    (void)write_attribute(folder / "cgroup.freeze", "0");
    for (;;) {
        SCRATCHD_TRY(bool const alive, populated(watch.get()));
        if (!alive) return done;
        if (until.passed()) break;
        pollfd change{watch.get(), POLLPRI, 0};
        (void)::poll(&change, 1, static_cast<int>(std::min<long>(until.left().count(), 1000)));
    }
    std::string who = "somebody";
    for (auto const pid : members(folder))
        if (auto const process = read_process(pid))
            who = fmt::format("{} in state {}", describe(*process), process->state);
    return fail(errc::processes_survive, fmt::format("{} survives the kill of {}", who, folder.string()));
}

}  // namespace scratchd
