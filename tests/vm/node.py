"""A node under test: a machine with scratchd in it, in either tier, and the helpers that scenarios share."""

import codecs
import json
import os
import tempfile
import unittest

from machine import BIN, sparse_disk
from uml import Uml

MIB = 1 << 20
GIB = 1 << 30


class Node:
    """scratchd in the fast machine, run as a child of the agent, from the build folder."""

    disk_names = "/dev/disk/by-id/virtual-scratch-*"
    ctl_program = str(BIN / "scratchctl")
    habits = str(BIN / "misbehave")

    def __init__(self, disks=2, size=GIB, config="", **how):
        self.folder = tempfile.TemporaryDirectory(prefix="scratchd-disks-", dir=os.environ.get("SCRATCHD_VM_DIR", "/var/tmp"))
        self.disks = [sparse_disk(f"{self.folder.name}/disk{n}.img", size) for n in range(disks)]
        self.daemon = None
        self.how, self.config = how, config
        self.boot()

    def boot(self):
        self.machine = Uml(self.disks, **self.how)
        self.sh("printf 'alice:x:1001:1001::/:/bin/sh\\nbob:x:1002:1002::/:/bin/sh\\nscratchd-broker:x:990:990::/:/bin/false\\n' >> /etc/passwd")
        self.configure(self.config)

    def power_cycle(self):
        """Cuts the power and boots again: the disks are what they were, everything else is gone."""
        self.machine.power_cut()
        self.machine.close()
        self.boot()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        try:
            self.machine.close(check=what[0] is None)
        finally:
            self.folder.cleanup()

    def configure(self, more="", disks=None):
        names = f'disks = ["{disks or self.disk_names}"]'
        self.machine.write("/etc/scratchd/scratchd.toml", more or f"[workspace]\nhbi = true\n[scratch]\n{names}\n")

    def sh(self, script, **how):
        return self.machine.run(["sh", "-ec", script], **how)

    # the daemon

    def start(self, failpoints=(), wait=True, wrap=()):
        """Starts scratchd; waits until it has recovered or given up."""
        argv = [*wrap, str(BIN / "scratchd"), "--verbose"]
        for name in failpoints:
            argv += ["--failpoint", name]
        self.daemon = self.machine.spawn(argv)
        if wait:
            self.daemon.wait_line("node.started", "node.start-failed", timeout=60, stream="err")
        return self

    def start_broker(self):
        """Starts scratchd-broker as its own user, as its unit does."""
        self.sh("mkdir -p /run/scratchd-broker; chown 990:990 /run/scratchd-broker; chmod 755 /run/scratchd-broker")
        self.broker = self.machine.spawn(["prlimit", "--memlock=unlimited", "--", "setpriv", "--reuid", "990", "--regid", "990",
                                          "--clear-groups", "--", str(BIN / "scratchd-broker"), "--verbose"])  # fmt: skip
        self.broker.wait_line("broker.started", timeout=30, stream="err")
        return self

    def source(self, name, content):
        """A secret file of the provider "directory"."""
        folder = "/etc/scratchd/credentials"
        self.sh(f"mkdir -p {folder}; chmod 700 {folder}; rm -f {folder}/{name}")
        self.machine.write(f"{folder}/{name}", content)
        self.sh(f"chmod 400 {folder}/{name}")

    def write_unseen(self, path, text):
        """Writes a file for root alone. The text itself never crosses the channel, whose buffers stay in the guest's memory."""
        self.sh(f"printf %s '{codecs.encode(text, 'rot13')}' | tr A-Za-z N-ZA-Mn-za-m > {path}; chmod 400 {path}")

    def read_unseen(self, command):
        """What a command printed, for a look into the guest's memory later."""
        return codecs.decode(self.sh(f"{command} | tr A-Za-z N-ZA-Mn-za-m").out.strip(), "rot13")

    def stop(self):
        self.daemon.kill(15)
        return self.daemon.wait(60).expect(0)

    def crash(self):
        self.daemon.kill(9)
        self.daemon.wait(10)

    def stalled(self):
        """Waits until the daemon stands still at a failpoint; gives its pid."""
        pid = self.sh("until pgrep -x scratchd; do :; done").out.strip()
        self.sh(f"until grep -q '^State:.T' /proc/{pid}/status; do :; done")
        return pid

    def restart(self):
        self.crash()
        return self.start()

    def log(self):
        return self.daemon.err.decode(errors="replace")

    # the command line

    def ctl(self, *arguments, codes=(0,), timeout=90, **how):
        return self.machine.run([self.ctl_program, *map(str, arguments)], codes=codes, timeout=timeout, **how)

    def ctl_json(self, *arguments, **how):
        outcome = self.ctl("--json", *arguments, **how)
        return json.loads(outcome.out if outcome.code == 0 else outcome.err)

    def status(self):
        return self.ctl_json("status")

    def begin(self, job="17", user="alice", **how):
        return self.ctl_json("job", "begin", job, "--user", user, **how)

    def end(self, job="17", *more, **how):
        return self.ctl_json("job", "end", job, *more, **how)

    # jobs

    def cgroup(self, name="job17"):
        path = f"/sys/fs/cgroup/{name}"
        self.sh(f"mkdir -p {path}")
        return path

    def as_user(self, argv, uid=1001, cgroup=None):
        """Starts a program of a job as its user, in its control group."""
        enter = f"echo $$ > {cgroup}/cgroup.procs; " if cgroup else ""
        drop = f"exec setpriv --reuid {uid} --regid {uid} --clear-groups -- " if uid else "exec "
        return self.machine.spawn(["sh", "-ec", enter + drop + '"$@"', "sh", *map(str, argv)])

    def misbehave(self, *habit, uid=1001, cgroup=None):
        """Starts a bad habit and waits until it has it."""
        return self.as_user([self.habits, *habit], uid, cgroup).wait_line("ready")

    # what the world looks like

    def mappings(self):
        """dm names of ours with their target types, as the kernel has them."""
        lines = self.machine.run(["dmsetup", "table"]).out.splitlines()
        return {l.split(":")[0]: l.split()[3] for l in lines if l.startswith("scratchd-")}

    def scan_disks(self, *needles, disks=None):
        arguments = [x for n in needles for x in ("--text", n)]
        return self.machine.scan(*arguments, *(disks or self.disks))["needles"]

    def schedules(self):
        """The AES keys of which the machine's RAM holds a schedule."""
        dump = f"{self.folder.name}/ram"
        self.machine.dump_ram(dump)
        found = self.machine.scan("--aes", dump)["schedules"]
        os.unlink(dump)
        return [s["key"] for s in found]

    def ram_hits(self, *keys_hex, text=()):
        """How often the machine's RAM holds each key, each half of it, and each text."""
        keys_hex = [part for k in keys_hex for part in (k, k[: len(k) // 2], k[len(k) // 2 :])]
        dump = f"{self.folder.name}/ram"
        self.machine.dump_ram(dump)
        arguments = [x for k in keys_hex for x in ("--hex", k)] + [x for t in text for x in ("--text", t)]
        found = self.machine.scan(*arguments, dump)["needles"]
        os.unlink(dump)
        return found


class Scenario(unittest.TestCase):
    """A test in a machine. `node()` gives a node with the daemon started; it ends with the test."""

    def node(self, start=True, cls=Node, **how):
        made = self.enterContext(cls(**how))
        return made.start() if start else made

    def assert_clean(self, node):
        """Ready, encrypted, one key, and every record intact."""
        now = node.status()
        self.assertEqual(now["state"], "ready", now)
        self.assertEqual(now["reason"], "")
        self.assertEqual(now["jobs"], [])
        several = len(now["volume"]["devices"]) > 1
        self.assertEqual(sorted(node.mappings().values()), ["crypt", "striped"] if several else ["crypt"])
        node.ctl("report", "verify")

    def assert_failed(self, node, code):
        now = node.status()
        self.assertEqual(now["state"], "failed", now)
        self.assertTrue(now["reason"].startswith(code), now["reason"])

    def checks_of(self, reply):
        return {c["name"]: c["ok"] for c in reply["checks"]}
