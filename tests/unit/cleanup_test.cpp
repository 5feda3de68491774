#include "agent/base/file.hpp"
#include "cleanup/cgroup.hpp"
#include "cleanup/holders.hpp"
#include "cleanup/proc.hpp"
#include "cleanup/remove_tree.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <csignal>
#include <thread>

using namespace scratchd;
namespace fs = std::filesystem;

namespace {

auto const soon = [] { return deadline::in(std::chrono::seconds(10)); };

struct child_process {
    pid_t pid = fork();
    child_process() {
        if (pid == 0)
            for (;;) pause();
    }
    child_process(child_process const&) = delete;
    child_process& operator=(child_process const&) = delete;
    ~child_process() {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
};

}  // namespace

TEST_CASE("processes: this one is found and described", "[cleanup]") {
    auto const pids = all_processes();
    CHECK(std::ranges::find(pids, getpid()) != pids.end());
    auto const me = read_process(getpid());
    REQUIRE(me.has_value());
    CHECK(me->uid == getuid());
    CHECK(me->started > 0);
    CHECK_FALSE(me->kernel_thread);
    CHECK_FALSE(read_process(0x7ffffff).has_value());
    CHECK(describe({42, "a\nb)", 7, 0, false, 'S'}) == "pid 42 (a?b), uid 7)");
}

TEST_CASE("processes: a name with blanks and parentheses does not confuse", "[cleanup]") {
    pid_t const child = fork();
    if (child == 0) {
        std::ofstream("/proc/self/comm") << "a) R 1 (b";
        for (;;) pause();
    }
    std::optional<process_info> seen;
    do seen = read_process(child);
    while (seen && seen->name != "a) R 1 (b");
    REQUIRE(seen.has_value());
    CHECK((seen->state == 'S' || seen->state == 'R'));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

TEST_CASE("processes: exactly the one that was seen is killed", "[cleanup]") {
    child_process const victim;
    auto const seen = read_process(victim.pid);
    REQUIRE(seen.has_value());
    auto later = *seen;
    ++later.started;  // the pid now belongs to another
    CHECK(kill_process(later, soon()));
    CHECK(waitpid(victim.pid, nullptr, WNOHANG) == 0);  // neither dead nor a zombie
    CHECK(kill_process(*seen, soon()));
    int status = 0;
    waitpid(victim.pid, &status, 0);
    CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("processes: a thread with descriptors of its own is looked at by itself", "[cleanup]") {
    CHECK(task_folders(getpid()).size() == 1);
    std::atomic<bool> ready{false};
    std::atomic<bool> done{false};
    std::thread other([&] {
        REQUIRE(unshare(CLONE_FILES) == 0);
        ready = true;
        while (!done) std::this_thread::yield();
    });
    while (!ready) std::this_thread::yield();
    CHECK(task_folders(getpid()).size() == 2);
    done = true;
    other.join();
}

TEST_CASE("holders: an open file, a mapping and a working folder are found by device number", "[cleanup]") {
    temp_folder const t;
    struct stat st{};
    REQUIRE(stat(t.path().c_str(), &st) == 0);
    child_process const holder;  // inherits the working folder and more of this device, or of another
    auto const found = find_holders({st.st_dev}, read_all_namespaces());
    for (auto const& h : found) {
        CHECK(h.process.pid != 1);
        CHECK(h.process.pid != getpid());
    }
    CHECK(find_holders({static_cast<dev_t>(0x7fffffff)}, read_all_namespaces()).empty());
}

TEST_CASE("remove tree: everything goes, links are removed and not followed", "[cleanup]") {
    temp_folder const t;
    auto const out = t.path() / "outside";
    fs::create_directory(out);
    t.write("outside/kept", "x");
    auto const tree = t.path() / "tree";
    fs::create_directories(tree / "a/b/c");
    t.write("tree/a/b/file\nwith newline", "x");
    fs::create_symlink(out, tree / "a/link");
    fs::create_symlink("/", tree / "root");
    mkfifo((tree / "fifo").c_str(), 0600);
    auto const parent = must(open_file(t.path(), O_RDONLY | O_DIRECTORY));
    CHECK(must(remove_tree(parent.get(), "tree", soon())) == 8);
    CHECK_FALSE(fs::exists(tree));
    CHECK(fs::exists(out / "kept"));
    CHECK(must(remove_tree(parent.get(), "tree", soon())) == 0);
}

TEST_CASE("remove tree: deeper than any path may be long", "[cleanup]") {
    temp_folder const t;
    auto at = must(open_file(t.path(), O_RDONLY | O_DIRECTORY));
    auto const parent = must(open_file(t.path(), O_RDONLY | O_DIRECTORY));
    std::string const name(200, 'd');
    constexpr int depth = 300;
    for (int i = 0; i < depth; ++i) {
        REQUIRE(mkdirat(at.get(), name.c_str(), 0700) == 0);
        at.reset(openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    }
    CHECK(must(remove_tree(parent.get(), name, soon())) == depth);
}

TEST_CASE("remove tree: a link in place of the tree, and a deadline", "[cleanup]") {
    temp_folder const t;
    fs::create_directory(t.path() / "real");
    t.write("real/kept", "x");
    fs::create_symlink(t.path() / "real", t.path() / "link");
    auto const parent = must(open_file(t.path(), O_RDONLY | O_DIRECTORY));
    CHECK(must(remove_tree(parent.get(), "link", soon())) == 1);
    CHECK(fs::exists(t.path() / "real/kept"));
    CHECK(fails_with(remove_tree(parent.get(), "real", deadline::in(std::chrono::seconds(0))), errc::timed_out));
    CHECK(fs::exists(t.path() / "real/kept"));
    CHECK_FALSE(remove_tree(parent.get(), "../outside", soon()).has_value());
}

TEST_CASE("control groups: only a plain path below the hierarchy is one", "[cleanup]") {
    for (char const* bad : {"", "relative", "/", "/../tmp", "/a/../b", "/a//b", "/no-such-group-here", "/tmp"})
        CHECK(fails_with(check_cgroup(bad), errc::cgroup_refused));
    CHECK(must(kill_cgroup("/sys/fs/cgroup/no-such-group-here", soon())).killed == 0);
}
