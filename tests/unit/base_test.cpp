#include "agent/base/deadline.hpp"
#include "agent/base/failpoint.hpp"
#include "agent/base/file.hpp"
#include "agent/base/handle.hpp"
#include "agent/base/ids.hpp"
#include "agent/base/log.hpp"
#include "agent/base/mounts.hpp"
#include "agent/base/process.hpp"
#include "agent/base/secret.hpp"
#include "agent/base/time_text.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <type_traits>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

using namespace scratchd;

TEST_CASE("error: the larger step stands in front, the errno at the end", "[base]") {
    error e{errc::io, ENOENT, "open x"};
    CHECK(std::move(e).while_doing("end of job 7").message() == "end of job 7: open x: No such file or directory");
    CHECK(code_text(errc::device_held) == "E0042");
    CHECK(error{errc::io, 0, "plain"}.message() == "plain");
}

TEST_CASE("secret: it cannot be copied, printed or turned into a string", "[base]") {
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<secret>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<secret, std::string>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<std::string, secret>);
    auto s = must(secret::make(100));
    CHECK(s.size() == 100);
    s.bytes()[99] = std::byte{7};
    auto moved = std::move(s);
    CHECK(moved.bytes()[99] == std::byte{7});
    auto const* const end = moved.bytes().data() + 99;
    moved.truncate(10);
    CHECK(moved.size() == 10);
    CHECK(*end == std::byte{0});  // the page is still there
    moved.clear();
    CHECK(moved.size() == 0);
}

TEST_CASE("secret: its pages stay out of core dumps and of forked children", "[base]") {
    auto s = must(secret::make(8));
    auto const start = fmt::format("{:x}-", reinterpret_cast<std::uintptr_t>(s.bytes().data()));
    auto const maps = must(read_file("/proc/self/smaps", 64U << 20U));
    auto const at = maps.find("\n" + start);
    REQUIRE(at != std::string::npos);
    auto const flags = maps.substr(maps.find("VmFlags:", at), 100);
    CHECK_THAT(flags.substr(0, flags.find('\n')), ContainsSubstring(" dd ") && ContainsSubstring(" wf "));
}

TEST_CASE("secret: it is wiped before its pages go back", "[base]") {
    pid_t const child = fork();
    if (child == 0) {
        static auto s = secret::make(8);
        static std::byte const* at = s->bytes().data();
        std::memset(s->bytes().data(), 0x5a, 8);
        // The kernel hands munmap(2) of this page to the handler below instead of doing it.
        auto const low = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(at));
        sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        sock_fprog const filter{std::size(program), program};
        (void)signal(SIGSYS, [](int) { _exit(at[0] == std::byte{0} && at[7] == std::byte{0} ? 0 : 1); });
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
            _exit(2);
        s->clear();
        _exit(3);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("secret: a forked child sees zeros", "[base]") {
    auto s = must(secret::make(8));
    std::memset(s.bytes().data(), 0x5a, 8);
    pid_t const child = fork();
    if (child == 0) _exit(s.bytes()[0] == std::byte{0} ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(s.bytes()[0] == std::byte{0x5a});
}

#if !__has_feature(address_sanitizer)  // which makes mlock do nothing
TEST_CASE("secret: its pages are locked", "[base]") {
    auto const locked = [] {
        auto const text = must(read_file("/proc/self/status"));
        return std::stoul(text.substr(text.find("VmLck:") + 6));
    };
    auto const before = locked();
    auto const s = must(secret::make(1 << 16));
    CHECK(locked() >= before + 64);
}
#endif

TEST_CASE("file: a replaced file is whole, has its mode, and leaves no temporary one", "[base]") {
    temp_folder const t;
    must(replace_file(t.path() / "f", "one", 0640));
    must(replace_file(t.path() / "f", "two", 0640));
    CHECK(t.read("f") == "two");
    struct stat st{};
    REQUIRE(stat((t.path() / "f").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0640);
    CHECK_FALSE(std::filesystem::exists(t.path() / "f.new"));
    CHECK(fails_with(replace_file(t.path() / "no/such", "x", 0600), errc::io));
}

TEST_CASE("file: a full disk has a code of its own", "[base]") {
    auto const full = must(open_file("/dev/full", O_WRONLY));
    CHECK(fails_with(write_all(full.get(), "x"), errc::state_full));
}

TEST_CASE("file: what is too long is an error, not a cut", "[base]") {
    temp_folder const t;
    t.write("f", std::string(100, 'x'));
    CHECK(must(read_file(t.path() / "f", 100)).size() == 100);
    CHECK(fails_with(read_file(t.path() / "f", 99), errc::io));
    t.write("l", "first\nsecond\n");
    CHECK(must(read_line(t.path() / "l")) == "first");
}

TEST_CASE("job id: what a scheduler gives is taken, what could leave its folder is not", "[base]") {
    for (char const* good : {"1", "17", "123.456", "a_b-c", "77[3]", "x+y,z@w"})
        CHECK(must(job_id::parse(good)).text() == good);
    using namespace std::string_literals;
    for (auto const& bad :
         {""s, "."s, ".."s, "a/b"s, "/"s, "-x"s, ".x"s, "a b"s, "a\0b"s, "a\nb"s, "\xc3\xa4"s, std::string(65, 'a')})
        CHECK(fails_with(job_id::parse(bad), errc::job_id_invalid));
}

TEST_CASE("log: a value cannot forge a line or a field", "[base]") {
    auto const line = log::line("job.began", {{"job", "x\" ok=\"1\nnext"}, {"n", 5}, {"flag", true}, {"del", "\x7f"}});
    CHECK(line == R"(job.began job="x\" ok=\"1\x0anext" n=5 flag=true del="\x7f")");
}

TEST_CASE("process: output and exit code come back, the environment is clean", "[base]") {
    auto const until = deadline::in(std::chrono::seconds(10));
    auto const done = must(run_program("/bin/sh", {"-c", "echo out; echo err >&2; exit 3"}, until));
    CHECK(done.status == 3);
    CHECK(done.output == "out\nerr\n");
    CHECK(must(run_program("/usr/bin/env", {}, until)).output == "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n");
    CHECK(must(run_program("/bin/sh", {"-c", "kill -9 $$"}, until)).status == 137);
    CHECK(must(run_program("/bin/cat", {}, until)).output.empty());
    CHECK(fails_with(run_program("/no/such/program", {}, until), errc::program_missing));
}

TEST_CASE("process: a program that hangs dies with its children", "[base]") {
    temp_folder const t;
    auto const pid_file = t.path() / "pid";
    auto const script = "sleep 1000 & echo $! > " + pid_file.string() + "; wait";
    CHECK(fails_with(run_program("/bin/sh", {"-c", script}, deadline::in(std::chrono::milliseconds(300))),
                     errc::timed_out));
    auto const child = std::stoi(t.read("pid"));
    unique_fd const pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    if (pidfd) {
        pollfd death{pidfd.get(), POLLIN, 0};
        CHECK(poll(&death, 1, 10000) == 1);
    } else CHECK(errno == ESRCH);
}

TEST_CASE("process: much output neither blocks nor fills memory", "[base]") {
    auto const done =
        must(run_program("/usr/bin/head", {"-c", "3000000", "/dev/zero"}, deadline::in(std::chrono::seconds(20))));
    CHECK(done.status == 0);
    CHECK(done.output.size() < 100000);
}

TEST_CASE("mounts: the table of a process is read with all that is needed", "[base]") {
    temp_folder const t;
    t.write("mountinfo",
            "29 1 253:0 / / rw shared:1 - ext4 /dev/vda rw\n"
            "40 29 254:3 / /mnt/with\\040space rw,nodev - ext4 /dev/mapper/x rw\n"
            "41 40 0:55 /inner /over rw - overlay overlay rw,lowerdir=/a:/b,upperdir=/c,workdir=/d\n");
    auto const mounts = must(read_mounts(t.path() / "mountinfo"));
    REQUIRE(mounts.size() == 3);
    CHECK(mounts[1].target == "/mnt/with space");
    CHECK(mounts[1].device == makedev(254, 3));
    CHECK(mounts[1].parent == 29);
    CHECK(mounts[2].root == "/inner");
    CHECK(mounts[2].type == "overlay");
    CHECK_THAT(mounts[2].fs_options, ContainsSubstring("upperdir=/c"));
    CHECK_FALSE(read_mounts(t.path() / "none").has_value());
    CHECK(device_text(makedev(254, 3)) == "254:3");
    CHECK(must(read_mounts()).size() > 1);
}

TEST_CASE("deadline: never negative, never later than asked", "[base]") {
    auto const past = deadline::in(std::chrono::milliseconds(-5));
    CHECK(past.passed());
    CHECK(past.left().count() == 0);
    auto const far = deadline::in(std::chrono::hours(1));
    CHECK(far.at_most(std::chrono::seconds(1)).left() <= std::chrono::seconds(1));
    CHECK(past.at_most(std::chrono::seconds(1)).passed());
}

TEST_CASE("time: RFC 3339 in UTC", "[base]") {
    CHECK(time_text(1777636800) == "2026-05-01T12:00:00Z");
}

#ifdef SCRATCHD_FAILPOINTS
TEST_CASE("failpoint: fails once, with the errno it was given", "[base]") {
    must(failpoint::arm("here=fail:28"));
    must(failpoint::reach("elsewhere"));
    auto const r = failpoint::reach("here");
    REQUIRE_FALSE(r.has_value());
    CHECK(r.error().sys == ENOSPC);
    must(failpoint::reach("here"));
    CHECK_FALSE(failpoint::arm("here").has_value());
    CHECK_FALSE(failpoint::arm("here=explode").has_value());
}
#endif
