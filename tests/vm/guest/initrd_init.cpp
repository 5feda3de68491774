// The full test machine's first process: loads the disk driver, mounts the root and hands over to systemd.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>

int main() {
    mkdir("/dev", 0755);
    mkdir("/sysroot", 0755);
    mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
    int const module = open("/virtio_blk.ko", O_RDONLY | O_CLOEXEC);
    syscall(SYS_finit_module, module, "", 0);
    for (int tries = 0; access("/dev/vda", F_OK) != 0 && tries < 5000; ++tries) usleep(1000);
    if (mount("/dev/vda", "/sysroot", "ext4", 0, nullptr) != 0) {
        std::printf("initrd: mount /dev/vda: %s\n", std::strerror(errno));
        return 1;
    }
    mount("/dev", "/sysroot/dev", nullptr, MS_MOVE, nullptr);
    if (chdir("/sysroot") != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 ||
        chdir("/") != 0)
        return 1;
    execl("/sbin/init", "/sbin/init", nullptr);
    std::printf("initrd: /sbin/init: %s\n", std::strerror(errno));
    return 1;
}
