#include "agent/base/process.hpp"

#include "agent/base/handle.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

namespace scratchd {
namespace {

constexpr std::size_t most_output = 65536;
constexpr int killed_wait_ms = 1000;

struct spawn_settings {
    posix_spawn_file_actions_t files{};
    posix_spawnattr_t attributes{};

    explicit spawn_settings(int output) {
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&files, output, 1);
        posix_spawn_file_actions_adddup2(&files, output, 2);
        posix_spawnattr_init(&attributes);
        sigset_t none;
        sigset_t all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    }
    spawn_settings(spawn_settings const&) = delete;
    spawn_settings& operator=(spawn_settings const&) = delete;
    ~spawn_settings() {
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
};

// Collects output until the program ends; a grandchild that keeps the pipe open is not waited for.
result<std::string> collect(int output, int pidfd, deadline until) {
    std::string text;
    bool open = true;
    for (;;) {
        pollfd watched[] = {{pidfd, POLLIN, 0}, {open ? output : -1, POLLIN, 0}};
        int const ready = ::poll(watched, 2, static_cast<int>(until.left().count()));
        if (ready < 0 && errno != EINTR) return fail_errno("poll");
        if (ready == 0) return fail(errc::timed_out, "no end in time");
        if (watched[1].revents != 0) {
            char buffer[4096];
            auto const n = ::read(output, buffer, sizeof buffer);
            if (n <= 0) open = false;
            else if (text.size() < most_output) text.append(buffer, static_cast<std::size_t>(n));
        } else if (watched[0].revents != 0) {
            return text;
        }
    }
}

}  // namespace

result<program_outcome> run_program(std::filesystem::path const& path, std::vector<std::string> arguments,
                                    deadline until) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2");
    unique_fd const from(ends[0]);
    unique_fd to(ends[1]);
    std::string name = path.string();
    std::vector<char*> argv{name.data()};
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char language[] = "LC_ALL=C";
    char* const environment[] = {search, language, nullptr};

    spawn_settings const settings(to.get());
    pid_t pid = -1;
    if (int const problem =
            ::posix_spawn(&pid, name.c_str(), &settings.files, &settings.attributes, argv.data(), environment);
        problem != 0)
        return fail(problem == ENOENT ? errc::program_missing : errc::program_failed, "start " + name, problem);
    to.reset();
    unique_fd const pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    auto text = collect(from.get(), pidfd.get(), until);
    if (!text) {
        (void)::kill(-pid, SIGKILL);
        // A program stuck in the kernel (a dead disk) does not die of it: don't wait for that one.
        pollfd death{pidfd.get(), POLLIN, 0};
        if (::poll(&death, 1, killed_wait_ms) == 1) (void)::waitpid(pid, nullptr, WNOHANG);
        return std::unexpected(std::move(text).error().while_doing(name));
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return program_outcome{WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), *std::move(text)};
}

}  // namespace scratchd
