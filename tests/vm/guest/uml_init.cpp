// PID 1 of the fast test machine (User-Mode Linux). The root is the host's file system, read-only, below a RAM overlay.
//
// The kernel command line gives `modules=DIR` (the kernel's module tree on the host) and `load=a,b,...` (module files
// below DIR/kernel to load, in order). Static, and it runs no program itself: each exec costs 20 ms or more here.
#include "session.hpp"

#include <fcntl.h>
#include <linux/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace {

[[noreturn]] void power_off() {
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}

void must(bool ok, char const* what) {
    if (ok) return;
    std::fprintf(stderr, "guest init: %s: %s\n", what, std::strerror(errno));
    power_off();
}

void attach(char const* source, char const* target, char const* type, unsigned long flags = 0,
            char const* options = nullptr) {
    mkdir(target, 0755);
    must(mount(source, target, type, flags, options) == 0 || errno == EBUSY, target);  // EBUSY: the kernel did it
}

std::string parameter(std::string const& line, std::string const& key) {
    std::istringstream words(line);
    for (std::string word; words >> word;)
        if (word.starts_with(key + "=")) return word.substr(key.size() + 1);
    return {};
}

void load_modules(std::string const& directory, std::string const& names) {
    std::istringstream list(names);
    for (std::string name; std::getline(list, name, ',');) {
        auto const path = directory + "/kernel/" + name + ".ko";
        int const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        must(fd >= 0 && (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST), path.c_str());
        close(fd);
    }
}

// A tree that was built below /tmp would be hidden by the fresh one: what it built is shown there again.
class kept_folder {
public:
    explicit kept_folder(std::string path) : path_(std::move(path)) {}
    void look() { fd_ = open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }
    void show() const {
        if (fd_ < 0 || access(path_.c_str(), F_OK) == 0) return;
        for (auto at = path_.find('/', 1); at != std::string::npos; at = path_.find('/', at + 1))
            mkdir(path_.substr(0, at).c_str(), 0755);
        mkdir(path_.c_str(), 0755);
        auto const from = "/proc/self/fd/" + std::to_string(fd_);
        must(mount(from.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) == 0, path_.c_str());
    }

private:
    std::string path_;
    int fd_ = -1;
};

void enter_overlay(std::string const& modules, kept_folder programs) {
    attach("tmpfs", "/mnt", "tmpfs", 0, "mode=755,size=75%");
    for (char const* dir : {"/mnt/upper", "/mnt/work", "/mnt/root"}) mkdir(dir, 0755);
    must(mount("overlay", "/mnt/root", "overlay", 0, "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work") == 0,
         "overlay");
    for (char const* dir : {"/proc", "/sys", "/dev"})
        must(mount(dir, (std::string("/mnt/root") + dir).c_str(), nullptr, MS_MOVE, nullptr) == 0, dir);
    must(chdir("/mnt/root") == 0 && syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
    must(umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "leave the old root");
    programs.look();
    attach("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
    attach("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
    attach("tmpfs", "/var/lib/scratchd", "tmpfs", 0, "mode=700,size=16m");
    attach("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
    programs.show();
    attach("devpts", "/dev/pts", "devpts");
    attach("mqueue", "/dev/mqueue", "mqueue");
    attach("cgroup2", "/sys/fs/cgroup", "cgroup2");
    auto const slash = modules.rfind('/');
    auto const link = "/lib/modules" + modules.substr(slash);
    mkdir("/lib/modules", 0755);
    (void)symlink(modules.c_str(), link.c_str());
    // As systemd does: what is mounted later is seen in the namespaces that jobs make.
    must(mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) == 0, "make / shared");
}

// ubd disks have no serial and nothing runs udev here: name them as udev would.
void link_disks() {
    mkdir("/dev/disk", 0755);
    mkdir("/dev/disk/by-id", 0755);
    for (char letter = 'a'; letter <= 'h'; ++letter) {
        std::string const device = std::string("/dev/ubd") + letter;
        if (access(device.c_str(), F_OK) != 0) continue;
        (void)symlink(device.c_str(), (std::string("/dev/disk/by-id/virtual-scratch-") + letter).c_str());
    }
}

void loopback_up() {
    int const s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ioctl(s, SIOCSIFFLAGS, &request);
    close(s);
}

}  // namespace

int main() {
    attach("proc", "/proc", "proc");
    attach("sysfs", "/sys", "sysfs");
    attach("devtmpfs", "/dev", "devtmpfs");
    std::ifstream file("/proc/cmdline");
    std::string line;
    std::getline(file, line);
    auto const modules = parameter(line, "modules");
    load_modules(modules, parameter(line, "load"));
    auto const init = parameter(line, "init");
    enter_overlay(modules, kept_folder(init.substr(0, init.rfind('/'))));
    link_disks();
    loopback_up();
    sethostname("scratch-test", 12);

    int const channel = open("/dev/tty1", O_RDWR | O_NOCTTY | O_CLOEXEC);
    must(channel >= 0, "/dev/tty1");
    termios raw{};
    tcgetattr(channel, &raw);
    cfmakeraw(&raw);
    tcsetattr(channel, TCSANOW, &raw);
    guest::serve(channel);
    power_off();
}
