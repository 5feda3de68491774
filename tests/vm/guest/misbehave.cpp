// A job's worst habits, one a command: each does its thing, prints "ready" and stays.
//
//   misbehave hold FILE            keeps it open
//   misbehave map FILE             keeps it mapped, with no descriptor
//   misbehave chdir FOLDER         stands in it
//   misbehave chroot FOLDER         has it as its root, and stands elsewhere
//   misbehave private-mount        lives in a mount namespace of its own
//   misbehave user-namespace       the same inside a new user namespace, as any user can
//   misbehave keep-namespace PID   keeps that process's mount namespace by a descriptor
//   misbehave thread-hold FILE     a thread with its own descriptors keeps it, and the main thread is gone
//   misbehave thread-namespace     a thread alone lives in a mount namespace of its own
//   misbehave fuse FOLDER          mounts a FUSE file system there and stops answering
//   misbehave stubborn N           N children in sessions of their own that ignore SIGTERM
//   misbehave fork-storm           forks for as long as it lives
//   misbehave canaries FOLDER TEXT MIB   writes TEXT, each byte less one, as contents, names, xattrs and symlinks, and
//                                  ends: so the canary itself stands in nobody's arguments
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

void must(bool ok, char const* what) {
    if (ok) return;
    std::fprintf(stderr, "misbehave: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

[[noreturn]] void stay() {
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
}

void map(char const* path) {
    int const fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0, path);
    auto* const at = static_cast<char volatile*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    must(at != MAP_FAILED, "mmap");
    (void)*at;
    close(fd);
}

void enter_namespace(int flags) {
    must(unshare(flags) == 0, "unshare");
    must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
}

char const* kept_by_thread = nullptr;

void* thread_holds(void*) {
    must(unshare(CLONE_FILES) == 0, "unshare descriptors");
    must(open(kept_by_thread, O_RDONLY | O_CLOEXEC) >= 0, kept_by_thread);
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
}

void* thread_enters(void*) {
    enter_namespace(CLONE_NEWNS);
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
}

// Answers the first request, FUSE_INIT, and then nothing any more: what asks it now waits for ever.
void fuse(std::string const& folder) {
    int const fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    must(fd >= 0, "/dev/fuse");
    auto const options = "fd=" + std::to_string(fd) + ",rootmode=40000,user_id=0,group_id=0";
    must(mount("misbehave", folder.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0, "mount fuse");
    alignas(8) char buffer[FUSE_MIN_READ_BUFFER];
    must(read(fd, buffer, sizeof buffer) > 0, "read FUSE_INIT");
    auto const* const request = reinterpret_cast<fuse_in_header const*>(buffer);
    struct {
        fuse_out_header head;
        fuse_init_out init;
    } answer{};
    answer.head.len = sizeof answer;
    answer.head.unique = request->unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    must(write(fd, &answer, sizeof answer) == static_cast<ssize_t>(sizeof answer), "answer FUSE_INIT");
    std::puts("ready");
    std::fflush(stdout);
    raise(SIGSTOP);
    for (;;) pause();
}

void stubborn(int count) {
    for (int i = 0; i < count; ++i)
        if (fork() == 0) {
            setsid();
            signal(SIGTERM, SIG_IGN);
            for (;;) pause();
        }
    stay();
}

[[noreturn]] void fork_storm() {
    std::puts("ready");
    std::fflush(stdout);
    for (;;)
        if (fork() < 0) sched_yield();
}

void canaries(std::string const& folder, std::string text, std::size_t mib) {
    for (char& c : text) --c;
    std::string block;
    while (block.size() < (1U << 20U)) block += text + "\n";
    block.resize(1U << 20U);
    for (std::size_t i = 0; i < mib; ++i) {
        auto const name = folder + "/" + text + "-" + std::to_string(i);
        int const fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        must(fd >= 0, "create a canary file");
        must(write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size()), "write a canary");
        must(fsetxattr(fd, "user.canary", text.data(), text.size(), 0) == 0, "set a canary xattr");
        must(fsync(fd) == 0, "fsync");
        close(fd);
        must(symlink((text + text + text + text).c_str(), (name + ".link").c_str()) == 0, "make a canary symlink");
    }
    sync();
}

}  // namespace

int main(int argc, char** argv) {
    std::string_view const habit = argc > 1 ? argv[1] : "";
    char const* const what = argc > 2 ? argv[2] : "";
    if (habit == "hold") must(open(what, O_RDONLY | O_CLOEXEC) >= 0, what);
    else if (habit == "map") map(what);
    else if (habit == "chdir") must(chdir(what) == 0, what);
    else if (habit == "chroot") must(chroot(what) == 0, what);
    else if (habit == "private-mount") enter_namespace(CLONE_NEWNS);
    else if (habit == "user-namespace") enter_namespace(CLONE_NEWUSER | CLONE_NEWNS);
    else if (habit == "keep-namespace")
        must(open(("/proc/" + std::string(what) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC) >= 0, what);
    else if (habit == "thread-hold") {
        kept_by_thread = what;
        pthread_t thread{};
        must(pthread_create(&thread, nullptr, &thread_holds, nullptr) == 0, "thread");
        pthread_exit(nullptr);
    } else if (habit == "thread-namespace") {
        pthread_t thread{};
        must(pthread_create(&thread, nullptr, &thread_enters, nullptr) == 0, "thread");
        for (;;) pause();
    } else if (habit == "fuse") fuse(what);
    else if (habit == "stubborn") stubborn(std::atoi(what));
    else if (habit == "fork-storm") fork_storm();
    else if (habit == "canaries" && argc > 4) {
        canaries(what, argv[3], static_cast<std::size_t>(std::atoi(argv[4])));
        return 0;
    } else {
        std::fprintf(stderr, "misbehave: unknown habit\n");
        return 2;
    }
    stay();
}
