"""The full test machine: QEMU with systemd as PID 1, udev, NVMe disks and a virtual machine's generation id.

A cold boot takes many seconds under emulation, so a booted machine is kept as a snapshot and each test starts from a
copy of it in about a second. NVMe disks are plugged in afterwards: QEMU cannot save them.
"""

import fcntl
import functools
import os
import pathlib
import shutil
import socket
import subprocess
import time

import image
from channel import Channel
from machine import BIN, Machine, MachineError
from qmp import Qmp

MEMORY_MIB = 1024
PORTS = 8
KERNEL_LINE = (
    "root=/dev/vda rw console=ttyS0 quiet tsc=reliable cryptomgr.notests initcall_blacklist=jent_mod_init "
    "systemd.show_status=false systemd.log_level=warning mitigations=off init_on_free=1"
)


SNAPSHOT_GUID = "00000000-0000-4000-8000-000000000001"


@functools.cache
def image_folder():
    """Named by what it is made of: trees of different versions do not take it from each other."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    named = cache / "scratchd" / f"vm-{image.fingerprint(BIN / 'serial_agent', BIN / 'initrd_init')[:12]}"
    return pathlib.Path(os.environ.get("SCRATCHD_VM_IMAGE", named))


class Qemu(Machine):
    """Starts from the snapshot `flavour`, or cold when `cold` is set. `disks`: paths of raw files, each an NVMe disk whose
    serial is the file's name without its suffix."""

    kind = "qemu"

    def __init__(self, disks=(), flavour="base", cold=False, root=None, keep=False, plug=True, clone=False):
        super().__init__(keep)
        self.clone = clone  # keeps the snapshot's random state: as a machine that was copied while it ran
        self.disks = [pathlib.Path(d) for d in disks]
        self.flavour = flavour
        image = image_folder()
        self.ram = pathlib.Path("/dev/shm") / f"{self.folder.name}.ram"
        self.root = pathlib.Path(root) if root else self.folder / "root.qcow2"
        base = image / "root.img" if cold else image / flavour / "root.qcow2"
        if not root:
            kind = "raw" if base.suffix == ".img" else "qcow2"
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(base), str(self.root)], check=True)
        if not cold:
            subprocess.run(["cp", "--sparse=always", image / flavour / "ram", self.ram], check=True)
        self.plugged = 0
        self._start(cold)
        if plug:
            for disk in self.disks:
                self.plug(disk)

    def _command(self, cold):
        image = image_folder()
        line = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,thread=multi",
                "-machine", "q35,sata=off,memory-backend=ram", "-cpu", "max,-svm", "-smp", "2", "-m", f"{MEMORY_MIB}M",
                "-object", f"memory-backend-file,id=ram,size={MEMORY_MIB}M,mem-path={self.ram},share=on",
                "-kernel", image / "vmlinux", "-initrd", image / "initrd", "-append", KERNEL_LINE,
                "-drive", f"id=root,if=none,file={self.root},format=qcow2,cache=unsafe,discard=unmap",
                "-device", "virtio-blk-pci,drive=root,addr=2", "-device", "virtio-serial-pci,addr=3",
                "-chardev", f"socket,id=agent,path={self.folder}/agent.sock,server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=agent", "-device", f"vmgenid,guid={SNAPSHOT_GUID if cold or self.clone else 'auto'}",
                "-device", "virtio-rng-pci,addr=4",
                "-serial", f"file:{self.kernel_log}", "-qmp", f"unix:{self.folder}/qmp.sock,server=on,wait=off"]  # fmt: skip
        for n in range(PORTS):
            line += ["-device", f"pcie-root-port,id=port{n},chassis={n},slot={n},addr={8 + n}"]
        return [*map(str, line), *([] if cold else ["-incoming", "defer"])]

    def _start(self, cold):
        log = open(self.folder / "qemu.log", "wb")
        self.process = subprocess.Popen(self._command(cold), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        try:
            self.qmp = Qmp(self.folder / "qmp.sock")
            if not cold:
                self.qmp.run("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
                self.qmp.run("migrate-incoming", uri=f"exec:cat {image_folder() / self.flavour / 'state'}")
                self.qmp.migrated()
                self.qmp.run("cont")
            self._connect(120 if cold else 20)
        except Exception as problem:
            log_text = (self.folder / "qemu.log").read_text(errors="replace")
            self.close(check=False)
            raise MachineError(f"the machine did not start: {problem}\n{log_text}\n{self.kernel_text()[-2000:]}") from None

    def _connect(self, timeout):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{self.folder}/agent.sock")
        self.channel = Channel(sock)
        self.channel.wait_up(timeout, ask=True)
        if not self.clone:
            self.channel.reseed()

    def plug(self, disk, wait=True):
        """Plugs a raw disk in as an NVMe device and waits until udev has named it."""
        disk = pathlib.Path(disk)
        name, n = disk.stem, self.plugged
        self.plugged += 1
        self.qmp.run("blockdev-add", driver="raw", discard="unmap", **{"node-name": name, "file": {"driver": "file", "filename": str(disk), "discard": "unmap", "locking": "off"}})
        self.qmp.run("device_add", driver="nvme", id=name, drive=name, serial=name, bus=f"port{n}")
        if wait:
            self.run(["udevadm", "wait", "--timeout=20", f"/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_{name}"])

    def attach_folder(self, folder, target):
        """Gives the guest a copy of a host folder: an ext4 image, plugged in and mounted read-only."""
        image = self.folder / "folder.img"
        size = int(subprocess.run(["du", "-sb", folder], check=True, capture_output=True, text=True).stdout.split()[0])
        with open(image, "wb") as file:
            file.truncate(size * 5 // 4 + (16 << 20))
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(folder), str(image)], check=True)
        n = self.plugged
        self.plugged += 1
        self.qmp.run("blockdev-add", driver="raw", **{"node-name": "folder", "file": {"driver": "file", "filename": str(image)}, "read-only": True})
        self.qmp.run("device_add", driver="virtio-blk-pci", id="folder", drive="folder", serial="folder", bus=f"port{n}")
        self.run(["sh", "-ec", f"udevadm wait --timeout=20 /dev/disk/by-id/virtio-folder; mkdir -p {target}; mount -r -t ext4 /dev/disk/by-id/virtio-folder {target}"])

    def connect_to_host(self):
        """Plugs a network card in that reaches the host's loopback, and nothing behind it, at 10.0.2.2."""
        n = self.plugged
        self.plugged += 1
        self.qmp.run("netdev_add", type="user", id="net")
        self.qmp.run("device_add", driver="virtio-net-pci", id="net0", netdev="net", bus=f"port{n}", romfile="")
        self.run(["sh", "-ec", "until ls -d /sys/bus/virtio/drivers/virtio_net/virtio*/net/* 2>/dev/null; do :; done; udevadm settle; "
                  "card=$(basename /sys/bus/virtio/drivers/virtio_net/virtio*/net/*); ip address add 10.0.2.15/24 dev $card; ip link set $card up"])  # fmt: skip

    def dump_ram(self, path):
        """Copies the guest's RAM while it stands still."""
        self.qmp.run("stop")
        try:
            subprocess.run(["cp", "--sparse=always", self.ram, path], check=True)
        finally:
            self.qmp.run("cont")
        return path

    def last_words(self):
        return super().last_words() + (self.folder / "qemu.log").read_text(errors="replace")[-2000:]

    def power_cut(self):
        self.process.kill()
        self.process.wait()

    def reboot_cold(self):
        """Boots again after a power cut, with what is on the disks."""
        self.channel.close()
        self.qmp.close()
        self.plugged = 0
        for name in ("agent.sock", "qmp.sock"):
            (self.folder / name).unlink(missing_ok=True)
        self.ram.unlink(missing_ok=True)
        self._start(cold=True)
        for disk in self.disks:
            self.plug(disk)

    def save(self, folder):
        """Keeps the machine as a snapshot: device state, RAM and root disk. It is over after this."""
        self.run(["sh", "-c", "udevadm settle; sync; echo 3 > /proc/sys/vm/drop_caches"])
        self.qmp.run("stop")
        self.qmp.run("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        folder.mkdir(parents=True, exist_ok=True)
        self.qmp.run("migrate", uri=f"exec:cat > {folder / 'state'}")
        self.qmp.migrated()
        subprocess.run(["cp", "--sparse=always", self.ram, folder / "ram"], check=True)
        self.process.kill()
        self.process.wait()
        shutil.move(self.root, folder / "root.qcow2")

    def _stop(self):
        for end in ("channel", "qmp"):
            if hasattr(self, end):
                getattr(self, end).close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.ram.unlink(missing_ok=True)


def make_image():
    folder = image_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "image.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        image.build(folder, BIN / "serial_agent", BIN / "initrd_init")


def make_snapshot(flavour="base"):
    """Boots once and keeps the idle machine; a snapshot that is newer than the image stays."""
    image = image_folder()
    target = image / flavour
    with open(image / f"{flavour}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (target / "done").exists():
            return
        print(f"booting the full test machine for the snapshot \"{flavour}\" (once)", flush=True)
        started = time.monotonic()
        with Qemu(cold=True) as machine:
            machine.run(["systemctl", "is-system-running", "--wait"], codes=None, timeout=180)
            machine.save(target)
        (target / "done").touch()
        print(f"  took {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    make_image()
    make_snapshot()
