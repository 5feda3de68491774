#!/usr/bin/env python3
"""Builds the full test machine: kernel, initramfs and root file system, from this machine's own package sources.

    image.py FOLDER AGENT INITRD_INIT

Makes FOLDER/{vmlinux,initrd,root.img}; does nothing when they were made of the same ingredients. Nothing is installed
on the host: the kernel package is only unpacked.
"""

import hashlib
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

PACKAGES = """
systemd systemd-sysv udev dbus kmod procps iproute2 util-linux dmsetup libcryptsetup12 libdevmapper1.02.1 libblkid1 libmount1
libkeyutils1 libssl3 libstdc++6 libsystemd0 libspdlog1.10 libfmt9 libboost-json1.81.0 libboost-url1.81.0 libtomlplusplus3
libprometheus-cpp-core1.0 libsmartcols1 e2fsprogs xfsprogs nvme-cli attr fuse3 keyutils openssh-client openssh-server skopeo rclone
""".split()
ROOT_BYTES = 2 << 30
KERNEL = "linux-image-6.12-cloud-amd64"
MASKED = """
getty@.service serial-getty@.service console-getty.service e2scrub_all.timer e2scrub_reap.service apt-daily.timer
apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer systemd-binfmt.service systemd-repart.service systemd-pcrphase.service
systemd-pcrphase-sysinit.service systemd-hwdb-update.service modprobe@.service systemd-networkd-wait-online.service ssh.service
""".split()
AGENT_UNIT = """[Unit]
Description=Agent of the test machine
After=systemd-udevd.service
[Service]
ExecStart=/usr/lib/scratchd-test/agent
Restart=always
KillMode=process
StandardOutput=null
LimitCORE=infinity
[Install]
WantedBy=multi-user.target
"""
# Only what the tests look at: a full coldplug costs seconds under emulation.
TRIGGER_UNIT = """[Service]
ExecStart=
ExecStart=udevadm trigger --type=all --action=add --prioritized-subsystem=module,block --subsystem-match=block \
 --subsystem-match=nvme --subsystem-match=virtio --subsystem-match=virtio-ports --subsystem-match=misc --subsystem-match=net
"""


def run(*argv, **how):
    return subprocess.run(list(argv), check=True, **how)


def sources():
    """This machine's own Debian sources of the running release, as one-line entries."""
    release = dict(l.strip().split("=", 1) for l in open("/etc/os-release") if "=" in l)["VERSION_CODENAME"]
    listed = run("apt-get", "indextargets", "--format", "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)", capture_output=True, text=True)
    lines = sorted({tuple(l.split("|")[1:]) for l in listed.stdout.splitlines() if l.startswith("Packages|")})
    return [f"deb {uri} {suite} {part}" for uri, suite, part in lines if suite.startswith(release)]


def unpack_kernel(folder):
    """Unpacks the newest kernel of the flavour; returns the folder it was unpacked to and its release."""
    depends = run("apt-cache", "depends", KERNEL, capture_output=True, text=True).stdout
    package = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", package, cwd=folder, stdout=subprocess.DEVNULL)
    deb = next(folder.glob("linux-image-*.deb"))
    run("dpkg-deb", "-x", str(deb), str(folder / "kernel"))
    deb.unlink()
    return folder / "kernel", package.removeprefix("linux-image-")


def extract_vmlinux(bzimage, target):
    """The ELF inside a bzImage: QEMU boots it by PVH without running the decompressor (x86 boot protocol, 0x248)."""
    data = bzimage.read_bytes()
    setup_sectors = data[0x1F1] or 4
    payload_offset = int.from_bytes(data[0x248:0x24C], "little") + (setup_sectors + 1) * 512
    payload = data[payload_offset : payload_offset + int.from_bytes(data[0x24C:0x250], "little")]
    if payload[:6] == b"\xfd7zXZ\0":
        elf = lzma.LZMADecompressor().decompress(payload)
    else:
        elf = run("zstd", "-dcq", input=payload[:-4], capture_output=True).stdout  # its last word is the unpacked size
    assert elf[:4] == b"\x7fELF"
    target.write_bytes(elf)


def make_initrd(init, module, target):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        shutil.copy(init, root / "init")
        (root / "virtio_blk.ko").write_bytes(lzma.decompress(module.read_bytes()))
        names = "\n".join(["init", "virtio_blk.ko"])
        archive = run("cpio", "--quiet", "-o", "-H", "newc", input=names.encode(), cwd=folder, capture_output=True).stdout
        target.write_bytes(archive)


def make_root(tree, kernel, agent):
    run(
        "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={','.join(PACKAGES)}",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--aptopt=Acquire::Languages none", "bookworm", str(tree), "-", input="\n".join(sources()).encode(),
    )  # fmt: skip
    shutil.copytree(kernel / "lib/modules", tree / "usr/lib/modules", dirs_exist_ok=True)
    run("depmod", "-b", str(tree), next((tree / "usr/lib/modules").iterdir()).name)
    (tree / "usr/lib/scratchd-test").mkdir(parents=True)
    shutil.copy(agent, tree / "usr/lib/scratchd-test/agent")
    units = tree / "etc/systemd/system"
    (units / "scratchd-test-agent.service").write_text(AGENT_UNIT)
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants/scratchd-test-agent.service").symlink_to("../scratchd-test-agent.service")
    (units / "systemd-udev-trigger.service.d").mkdir()
    (units / "systemd-udev-trigger.service.d/few.conf").write_text(TRIGGER_UNIT)
    for unit in MASKED:
        link = units / unit
        if not link.exists():
            link.symlink_to("/dev/null")
    (tree / "etc/fstab").write_text("")
    (tree / "etc/hostname").write_text("scratch-test\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost scratch-test\n")
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/modprobe.d/scratchd-test.conf").write_text("blacklist kvm_amd\nblacklist kvm_intel\nblacklist kvm\n")
    journald = tree / "etc/systemd/journald.conf.d"
    journald.mkdir(parents=True)
    (journald / "volatile.conf").write_text("[Journal]\nStorage=volatile\nForwardToConsole=no\n")
    for name, number in (("alice", 1001), ("bob", 1002)):
        run("chroot", str(tree), "useradd", "-m", "-u", str(number), "-s", "/bin/sh", name)


def fingerprint(agent, init):
    parts = [pathlib.Path(__file__).read_bytes(), pathlib.Path(agent).read_bytes(), pathlib.Path(init).read_bytes()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def remove_unused(folder):
    """Images of other versions of the tree, when nobody used them for a week."""
    for stamp in folder.parent.glob("vm*/made-of"):
        if time.time() - stamp.stat().st_mtime > 7 * 86400:
            shutil.rmtree(stamp.parent, ignore_errors=True)


def build(folder, agent, init):
    folder = pathlib.Path(folder)
    stamp = folder / "made-of"
    wanted = fingerprint(agent, init)
    if stamp.exists() and stamp.read_text() == wanted:
        stamp.touch()
        return
    remove_unused(folder)
    print("building the full test machine's image (once)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        work = pathlib.Path(work)
        kernel, release = unpack_kernel(work)
        extract_vmlinux(kernel / f"boot/vmlinuz-{release}", folder / "vmlinux")
        module = next((kernel / "lib/modules").rglob("virtio_blk.ko*"))
        make_initrd(init, module, folder / "initrd")
        tree = work / "root"
        make_root(tree, kernel, agent)
        with open(folder / "root.img", "wb") as image:
            image.truncate(ROOT_BYTES)
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree), str(folder / "root.img"))
    stamp.write_text(wanted)


if __name__ == "__main__":
    build(*sys.argv[1:])
