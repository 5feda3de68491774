"""A node in the full machine: scratchd installed below /usr, run by systemd, on NVMe disks."""

import fcntl
import os
import subprocess
import tempfile

from machine import BIN, sparse_disk
from node import GIB, Node
from qemu import Qemu

BY_ID = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_"


def stage():
    """The product as `cmake --install` lays it out, once per build."""
    build = BIN.parent.resolve()
    with open(build / "stage.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": str(build / "stage")})  # fmt: skip
        for name in ("misbehave",):
            subprocess.run(["install", "-D", BIN / name, build / f"stage/usr/lib/scratchd-test/{name}"], check=True)
    return build / "stage"


class FullNode(Node):
    ctl_program = "scratchctl"
    habits = "/usr/lib/scratchd-test/misbehave"

    def __init__(self, disks=2, size=2 * GIB, install=True, config="", **how):
        self.folder = tempfile.TemporaryDirectory(prefix="scratchd-disks-", dir=os.environ.get("SCRATCHD_VM_DIR", "/var/tmp"))
        self.disks = [sparse_disk(f"{self.folder.name}/SN{n}.img", size) for n in range(disks)]
        self.disk_names = '", "'.join(BY_ID + d.stem for d in self.disks)
        self.machine = Qemu(self.disks, **how)
        if install:
            self.machine.attach_folder(stage(), "/mnt/product")
            self.sh("cp -a /mnt/product/. /; umount /mnt/product; systemd-sysusers; systemd-tmpfiles --create scratchd.conf; systemctl daemon-reload")
            self.configure(config)

    def start(self, failpoints=(), wait=True, wrap=()):
        self.machine.run(["systemctl", "enable", "--now", "-q", "scratchd"], timeout=120)
        return self

    def stop(self):
        self.machine.run(["systemctl", "stop", "scratchd"], timeout=60)

    def crash(self):
        self.machine.run(["systemctl", "kill", "-s", "KILL", "scratchd"])

    def log(self):
        return self.machine.run(["journalctl", "-u", "scratchd", "--no-pager", "-o", "cat"]).out

    def as_user(self, argv, uid=1001, cgroup=None):
        """Starts a program of a job in a scope of its own, as a scheduler would."""
        return self.machine.spawn(["systemd-run", "--scope", "-q", f"--uid={uid}", f"--unit={cgroup or 'job'}", *map(str, argv)])
