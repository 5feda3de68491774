"""The fast test machine: User-Mode Linux with device-mapper, up in a fraction of a second.

Its root is the host's file system, read-only below a RAM overlay; its disks are sparse files; its RAM is a file that
can be copied at any moment. It runs in mount, PID and network namespaces of its own, so that killing it kills all of
it and not even its root can write to the host outside the run folder.
"""

import fcntl
import glob
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from channel import Channel
from machine import BIN, Machine, MachineError

MODULES = (
    "fs/overlayfs/overlay crypto/cbc security/keys/encrypted-keys/encrypted-keys crypto/ecb crypto/xts drivers/md/dm-mod "
    "drivers/md/dm-crypt drivers/block/loop fs/fuse/fuse"
).split()
KERNEL_LINE = (
    "rootfstype=hostfs ro con=null ssl=null pty.legacy_count=0 initcall_blacklist=raid6_select_algo,init_zswap lpj=4000000 "
    "selinux=0 audit=0 random.trust_cpu=on quiet"
).split()


def module_tree():
    found = sorted(glob.glob("/usr/lib/uml/modules/*"))
    if not found:
        raise MachineError("package user-mode-linux is not installed: ./dev setup")
    return found[-1]


class Cpu:
    """A processor for one guest alone: unpinned, a system call of a guest costs twenty times as much."""

    def __init__(self):
        folder = pathlib.Path(tempfile.gettempdir()) / f"scratchd-vm-cpus-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        files = [(n, open(folder / str(n), "w")) for n in sorted(os.sched_getaffinity(0))]
        while True:
            for number, file in files:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.number, self.file = number, file
                    for other, unused in files:
                        if other != number:
                            unused.close()
                    return
                except BlockingIOError:
                    pass
            time.sleep(0.05)

    def release(self):
        self.file.close()


class Uml(Machine):
    """Start with the disks to attach (paths of raw files); they appear as /dev/disk/by-id/virtual-scratch-<letter>."""

    kind = "uml"

    def __init__(self, disks=(), memory_mib=512, init=BIN / "uml_init", extra="", modules=MODULES, keep=False):
        super().__init__(keep)
        self.disks = [pathlib.Path(d) for d in disks]
        self.cpu = Cpu()
        self.kernel_log = self.folder / "kernel.log"
        init = pathlib.Path(init).resolve()
        if not init.exists():
            raise MachineError(f"{init} is not built: ./dev build")
        near, far = socket.socketpair()
        log = open(self.kernel_log, "wb")
        command = [
            "linux.uml", f"mem={memory_mib}M", f"init={init}", *KERNEL_LINE, "con0=null,fd:2", f"con1=fd:{far.fileno()}",
            f"uml_dir={self.folder}/", f"modules={module_tree()}", "load=" + ",".join(modules), *extra.split(),
            *[f"ubd{i}={disk}" for i, disk in enumerate(self.disks)],
        ]  # fmt: skip
        # The folder and the disks stay writable; every other path of the host is read-only inside.
        writable = {str(self.folder), *[str(d.parent.resolve()) for d in self.disks]}
        script = "".join(f"mount --bind {w} {w} && " for w in sorted(writable)) + 'mount -o remount,bind,ro / && exec "$@"'
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.cpu.number), "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child",
             "sh", "-ec", script, "sh", *command],  # fmt: skip
            pass_fds=[far.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            env={"HOME": str(self.folder), "TMPDIR": "/dev/shm", "PATH": os.environ["PATH"]},
        )  # fmt: skip
        log.close()
        far.close()
        self.channel = Channel(near)
        try:
            self.channel.wait_up(20, panicked=lambda: "Kernel panic" in self.kernel_text())
            self.channel.reseed()
        except Exception:
            self.close(check=False)
            raise MachineError(f"the guest did not start:\n{self.kernel_text()[-3000:]}") from None

    def dump_ram(self, path):
        """Copies the guest's RAM: the unnamed file that its kernel has as physical memory, and the kernel's own data."""
        for pid in self._kernel_pids():
            for fd in glob.glob(f"/proc/{pid}/fd/*"):
                try:
                    name = os.readlink(fd)
                except OSError:
                    continue
                if name.startswith("/dev/shm/") and name.endswith("(deleted)"):
                    subprocess.run(["cp", "--sparse=always", fd, path], check=True)
                    self._append_kernel_data(pid, path)
                    return path
        raise MachineError("the guest's RAM file was not found")

    @staticmethod
    def _append_kernel_data(pid, path):
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory, open(path, "ab") as dump:
            for line in maps:
                bounds, rights = line.split()[:2]
                if rights.startswith("rw") and rights[3] == "p":
                    start, end = (int(x, 16) for x in bounds.split("-"))
                    memory.seek(start)
                    dump.write(memory.read(end - start))

    def _kernel_pids(self):
        """The processes of the guest's kernel, in the order of their age."""
        pids = []
        todo = [self.process.pid]
        while todo:
            pid = todo.pop(0)
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as file:
                    todo += [int(p) for p in file.read().split()]
                if "linux.uml" in os.readlink(f"/proc/{pid}/exe"):
                    pids.append(pid)
            except OSError:
                continue
        return pids

    def power_cut(self):
        """What the guest had submitted to its disks survives; its RAM is gone."""
        self.process.kill()
        self.process.wait()

    def _stop(self):
        if self.process.poll() is None:
            self.channel.close()  # the agent powers the guest off when the host hangs up
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.cpu.release()
