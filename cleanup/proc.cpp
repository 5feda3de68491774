#include "cleanup/proc.hpp"

#include "agent/base/file.hpp"

#include <fmt/format.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <charconv>
#include <csignal>
#include <sstream>

namespace scratchd {
namespace {

namespace fs = std::filesystem;

std::vector<pid_t> numbers_in(fs::path const& folder) {
    std::vector<pid_t> all;
    std::error_code ec;
    for (auto it = fs::directory_iterator(folder, ec); !ec && it != fs::directory_iterator(); it.increment(ec)) {
        auto const name = it->path().filename().string();
        pid_t number = 0;
        auto const [end, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (problem == std::errc{} && end == name.data() + name.size()) all.push_back(number);
    }
    return all;
}

// Errors, as for a leader that is a zombie, count as "does not share".
bool shares(pid_t a, pid_t b, int kind) {
    return ::syscall(SYS_kcmp, a, b, kind, 0, 0) == 0;
}

}  // namespace

std::vector<pid_t> all_processes() {
    return numbers_in("/proc");
}

std::vector<fs::path> task_folders(pid_t pid) {
    auto const folder = fs::path("/proc") / std::to_string(pid);
    std::vector<fs::path> folders{folder};
    for (auto const tid : numbers_in(folder / "task"))
        if (tid != pid && !(shares(pid, tid, KCMP_FILES) && shares(pid, tid, KCMP_FS)))
            folders.push_back(folder / "task" / std::to_string(tid));
    return folders;
}

std::optional<process_info> read_process(pid_t pid) {
    auto const folder = fmt::format("/proc/{}", pid);
    struct stat st{};
    auto const text = read_file(folder + "/stat", 65536);
    if (!text || ::stat(folder.c_str(), &st) != 0) return std::nullopt;
    // "pid (name) state ppid ..."; the name may hold anything, spaces and parentheses too.
    auto const open = text->find('(');
    auto const close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos) return std::nullopt;
    process_info info{pid, text->substr(open + 1, close - open - 1), st.st_uid, 0, false, '?'};
    std::istringstream rest(text->substr(close + 1));
    std::string word;
    rest >> info.state;  // field 3
    for (int field = 4; field < 9; ++field) rest >> word;
    unsigned long flags = 0;
    rest >> flags;                                            // field 9
    constexpr unsigned long kernel_thread_flag = 0x00200000;  // PF_KTHREAD, include/linux/sched.h
    info.kernel_thread = (flags & kernel_thread_flag) != 0;
    for (int field = 10; field < 22; ++field) rest >> word;
    rest >> info.started;  // field 22
    return info;
}

std::string describe(process_info const& process) {
    std::string name;
    for (unsigned char const c : process.name) name += c < 0x20 || c >= 0x7f ? '?' : static_cast<char>(c);
    return fmt::format("pid {} ({}, uid {})", process.pid, name, process.uid);
}

bool kill_process(process_info const& process, deadline until) {
    unique_fd const pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!pidfd) return errno == ESRCH;
    auto const now = read_process(process.pid);
    if (!now || now->started != process.started) return true;
    if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0) return errno == ESRCH;
    pollfd death{pidfd.get(), POLLIN, 0};
    return ::poll(&death, 1, static_cast<int>(until.left().count())) == 1;
}

}  // namespace scratchd
