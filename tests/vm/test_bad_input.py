"""What must not work, and how it says so: an exit code, an error code, the next command, and a disk that is untouched or
wiped. Never ready. Fast machine."""

import unittest

from machine import BIN
from node import MIB, Scenario
from uml import MODULES

CONFIG = '[workspace]\nhbi = true\n[scratch]\ndisks = ["/dev/disk/by-id/virtual-scratch-*"]\n'


SEND = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/scratchd/control.sock'); "
    "s.sendall(sys.stdin.buffer.read()); print(s.recv(99999).decode())"
)


def ask(node, head, body=b""):
    """Sends a request that scratchctl never would; returns the raw answer."""
    text = head.encode() + b"\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    return node.machine.run(["python3", "-c", SEND], input=text).out


class BadInput(Scenario):
    def assert_says(self, outcome, code):
        """The three parts that every error has."""
        self.assertIn(code, outcome.err)
        self.assertIn("\n  disk: ", outcome.err)
        self.assertIn("\n  next: ", outcome.err)

    def test_configurations(self):
        node = self.node(start=False)
        cases = {
            "hbi = true\n": ("E0012", ":1:1: unknown key hbi (did you mean workspace.hbi?)"),
            "[workspace]\nhbi = 1\n": ("E0012", ":2:1: workspace.hbi must be true or false"),
            "[workspace\n": ("E0011", ":1:1"),
            "[scratch]\nmont = '/x'\n": ("E0012", "did you mean scratch.mount?"),
            "[scrach]\ndisks = []\n": ("E0012", "did you mean scratch.disks?"),
            "[scratch]\nmount = 'relative'\n": ("E0012", ":2:1"),
            "[scratch]\nadopt = 'ersae'\n": ("E0012", "did you mean erase?"),
            "[cleanup]\ndeadline = '30'\n": ("E0012", "duration"),
            "[cleanup]\ndeadline = '1s'\n": ("E0012", "between"),
            "[cleanup]\ndeadline = '99999999999999999999s'\n": ("E0012", "duration"),
            "[scratch]\ndisks = [1]\n": ("E0012", "strings"),
            "[scratch]\ndisks = ['/dev/disk/by-id/../../sda']\n": ("E0012", "stable"),
            "[scratch]\ndisks = ['/dev/loop0']\n": ("E0012", "hbi"),
            "[workspace]\nhbi = true\nhbi = false\n": ("E0011", ":3:"),
            "\x00\x01\xff": ("E0011", ":1:2"),
        }
        for text, (code, words) in cases.items():
            with self.subTest(text):
                node.machine.write("/etc/scratchd/scratchd.toml", text.encode("latin-1"))
                outcome = node.ctl("config", "check", codes=(78,))
                self.assert_says(outcome, code)
                self.assertIn(words, outcome.err)
                daemon = node.machine.run([str(BIN / "scratchd")], codes=(78,))
                self.assert_says(daemon, code)
        self.assertEqual(node.mappings(), {})

    def test_a_configuration_that_others_can_change(self):
        node = self.node(start=False)
        for spoil in ["chmod 666 /etc/scratchd/scratchd.toml", "chmod 644 /etc/scratchd/scratchd.toml; chown 1001 /etc/scratchd/scratchd.toml",
                      "mv /etc/scratchd/scratchd.toml /tmp/x; ln -s /tmp/x /etc/scratchd/scratchd.toml"]:  # fmt: skip
            node.sh(spoil)
            self.assert_says(node.ctl("config", "check", codes=(78,)), "E0013")
            self.assert_says(node.machine.run([str(BIN / "scratchd")], codes=(78,)), "E0013")

    def test_a_missing_configuration(self):
        node = self.node(start=False)
        node.sh("rm -r /etc/scratchd")
        self.assert_says(node.ctl("config", "check", codes=(78,)), "E0010")
        self.assert_says(node.machine.run([str(BIN / "scratchd"), "--config", "/nonexistent.toml"], codes=(78,)), "E0010")
        # Without any configuration the daemon runs, touches nothing and takes no job.
        node.start()
        self.assertEqual(node.status()["state"], "quarantine")
        self.assert_says(node.ctl("job", "begin", "1", "--user", "alice", codes=(3,)), "E0044")
        node.sh("cmp -n 1000000 /dev/ubda /dev/zero")

    def test_job_ids(self):
        node = self.node()
        long = "x" * 10240
        for bad in ["a/b", "..", "../etc", ".hidden", "-dash", "", "sp ace", "new\nline", "semi;colon", "ü", long, "x" * 65]:
            with self.subTest(bad[:20]):
                self.assert_says(node.ctl("job", "begin", "--user", "alice", "--", bad, codes=(2,)), "E0040")
                if bad:
                    self.assertIn("E00", node.ctl("job", "end", "--", bad, codes=(2,)).err)
        for good in ["1", "x" * 64, "123[4]", "a+b@c,d_e.f-g"]:
            with self.subTest(good[:20]):
                node.begin(good, "alice")
                node.end(good)
        # A NUL byte cannot be an argument: it comes over the socket.
        outcome = ask(node, "POST /v1/jobs HTTP/1.1", b'{"id": "a\\u0000b", "user": "alice"}')
        self.assertIn("E0040", outcome)
        self.assert_clean(node)

    def test_users_and_control_groups(self):
        node = self.node()
        for user in ["nobody-there", "4711000", "", "-1", "alice\nroot", "x" * 5000]:
            self.assert_says(node.ctl("job", "begin", "1", "--user", user, codes=(2,)), "E0041")
        node.cgroup("ok/inner")
        node.sh("chown 1001 /sys/fs/cgroup/ok/inner; mkdir /tmp/nogroup; ln -s /sys/fs/cgroup/ok /sys/fs/cgroup.link 2>/dev/null || true")
        for group in ["/", "", "relative", "/sys/fs/cgroup", "/sys/fs/cgroup/", "/nonexistent", "/ok/inner", "/../../tmp", "/ok/../ok"]:
            self.assert_says(node.ctl("job", "begin", "1", "--user", "alice", "--cgroup", group, codes=(4,)), "E0047")
        # What would kill the daemon or init, and what is no control group.
        node.sh("cd /sys/fs/cgroup; mkdir -p own/inner first ok/other; pgrep -x scratchd > own/inner/cgroup.procs; "
                "echo 1 > first/cgroup.procs; mount -t tmpfs tmpfs ok/other; mkdir ok/other/x")
        for group in ["/own", "/own/inner", "/first", "/ok/other", "/ok/other/x", "/ok/cgroup.procs"]:
            self.assert_says(node.ctl("job", "begin", "1", "--user", "alice", "--cgroup", group, codes=(4,)), "E0047")
        self.assertEqual(node.status()["jobs"], [])

    def test_requests(self):
        node = self.node()
        self.assertIn(" 404 ", ask(node, "GET /v1/nothing HTTP/1.1"))
        self.assertIn(" 405 ", ask(node, "DELETE /v1/jobs HTTP/1.1"))
        self.assertIn(" 400 ", ask(node, "GET /v1/jobs/%zz/env HTTP/1.1"))
        for body in [b"", b"{", b"[]", b'{"id": 1, "user": "alice"}', b'{"id": "1", "id": "2", "user": "alice"}', b'{"id": "1", "user": "alice", "more": 1}',
                     b"[" * 5000, b'{"id": "1"}', b'{"id": "1", "user": "alice", "timeout_seconds": -1}', b"\xff\xfe"]:  # fmt: skip
            answer = ask(node, "POST /v1/jobs HTTP/1.1", body)
            self.assertIn(" 400 ", answer.split("\r\n")[0], body)
            self.assertIn("E0005", answer)
        self.assertIn(" 413 ", ask(node, "POST /v1/jobs HTTP/1.1", b"x" * 70000))
        self.assertIn(" 413 ", ask(node, "GET /" + "x" * 9000 + " HTTP/1.1"))
        self.assert_clean(node)

    def test_a_state_folder_that_others_can_change(self):
        node = self.node(start=False)
        for spoil in ["chmod 770 /var/lib/scratchd", "chmod 700 /var/lib/scratchd; chown 1001 /var/lib/scratchd"]:
            node.sh(spoil)
            daemon = node.machine.run([str(BIN / "scratchd")], codes=None, timeout=10)
            self.assertNotEqual(daemon.code, 0)
            self.assert_says(daemon, "E0053")
        self.assertEqual(node.mappings(), {})

    def test_a_full_state_folder(self):
        node = self.node(start=False)
        node.sh("umount /var/lib/scratchd; mount -t tmpfs -o size=256k,mode=700 tmpfs /var/lib/scratchd")
        node.start()
        fill = "dd if=/dev/zero of=/var/lib/scratchd/filler bs=4k 2>/dev/null || true"
        node.sh(fill)
        self.assert_says(node.ctl("job", "begin", "1", "--user", "alice", codes=(1,)), "E0050")
        self.assertEqual(node.status()["jobs"], [])
        node.sh("rm /var/lib/scratchd/filler")
        node.begin("1", "alice")
        keys = node.schedules()
        node.sh(fill)
        self.assert_says(node.ctl("job", "end", "1", codes=(1,)), "E0050")
        self.assert_failed(node, "E0050")
        self.assertEqual(set(node.ram_hits(*keys).values()), {0}, "the key outlived a full state folder")
        node.sh("rm /var/lib/scratchd/filler")
        node.end("1")
        self.assert_clean(node)

    def test_a_kernel_without_dm_crypt(self):
        node = self.node(start=False, modules=[m for m in MODULES if "dm-crypt" not in m])
        node.sh("rm /lib/modules/*")
        node.start()
        self.assert_failed(node, "E0006")
        self.assertEqual(node.mappings(), {})
        outcome = node.ctl("job", "begin", "1", "--user", "alice", codes=(1,))
        self.assert_says(outcome, "E0046")
        self.assertIn("E0006", outcome.err)

    def test_a_keyring_that_takes_no_key(self):
        node = self.node(start=False)
        node.sh("echo 1 > /proc/sys/kernel/keys/root_maxbytes")
        node.start()
        self.assert_failed(node, "E0030")
        self.assertEqual(node.mappings(), {})
        self.assertEqual(node.schedules(), [])
        node.sh("echo 25000000 > /proc/sys/kernel/keys/root_maxbytes")
        node.ctl("wipe", "--yes")
        self.assert_clean(node)

    def test_mkfs_missing_failing_and_hanging(self):
        node = self.node()
        for replacement, code in [("rm /sbin/mke2fs", "E0007"), ("printf '#!/bin/sh\\necho no space >&2; exit 3\\n' > /sbin/mke2fs", "E0034"),
                                  ("printf '#!/bin/sh\\nexec sleep 1000\\n' > /sbin/mke2fs", "E0003")]:  # fmt: skip
            with self.subTest(code):
                node.begin("1", "alice")
                node.sh("cp -p /sbin/mke2fs /tmp/mke2fs; " + replacement + "; chmod 755 /sbin/mke2fs 2>/dev/null || true")
                outcome = node.ctl("job", "end", "1", "--timeout", "6", codes=(1, 8))
                self.assert_says(outcome, code)
                self.assert_failed(node, code)
                self.assertEqual(node.mappings(), {})
                self.assertEqual(node.schedules(), [])
                self.assertEqual(node.sh("pgrep -c sleep || true").out, "0\n")
                node.sh("cp -p /tmp/mke2fs /sbin/mke2fs")
                node.end("1")
                self.assert_clean(node)

    def test_a_mount_point_that_others_can_change(self):
        node = self.node(start=False)
        node.sh("mkdir -p /tmp/open; chmod 777 /tmp/open; ln -s /mnt /tmp/link; mkdir /tmp/alice; chown 1001 /tmp/alice")
        for mount in ["/tmp/open/scratch", "/tmp/link/scratch", "/tmp/alice/scratch", "/proc/scratch", "/etc/hostname"]:
            node.configure(CONFIG + f'mount = "{mount}"\n')
            node.start()
            self.assert_failed(node, "E0037")
            self.assertEqual(node.mappings(), {})
            node.crash()

    def test_hbi_is_sealed_at_first_start_in_both_directions(self):
        node = self.node()
        node.stop()
        node.configure("[workspace]\nhbi = false\n")
        node.start()
        self.assert_failed(node, "E0014")  # though no disk is named any more
        node.stop()
        for spoil, disks in [("rm /var/lib/scratchd/hbi.seal", ""), ("sed -i 's/true/false/' /var/lib/scratchd/hbi.seal", "")]:
            node.sh("cp -p /var/lib/scratchd/hbi.seal /tmp/seal; " + spoil)
            node.configure(CONFIG)
            node.start()
            self.assert_failed(node, "E0014")
            self.assertEqual(node.mappings(), {})
            node.stop()
            node.sh("cp -p /tmp/seal /var/lib/scratchd/hbi.seal")
        node.start()
        self.assert_clean(node)
        seals = [r for r in node.ctl_json("report", "list")["reports"] if r["kind"] == "seal"]
        self.assertEqual([s["outcome"] for s in seals], ["clean", "failed", "failed", "failed"])

    def test_hbi_sealed_off_stays_off(self):
        node = self.node(start=False)
        node.configure("[workspace]\n")  # says nothing: decides nothing
        node.start()
        self.assertEqual(node.status()["state"], "quarantine")
        node.stop()
        node.configure("[workspace]\nhbi = false\n")
        node.start()
        self.assertEqual(node.status()["state"], "quarantine")
        node.stop()
        node.configure(CONFIG)
        node.start()
        self.assert_failed(node, "E0014")
        self.assertIn("sealed off", node.status()["reason"])
        self.assertEqual(node.mappings(), {})

    def test_a_mount_namespace_of_its_own_is_refused(self):
        node = self.node(start=False)
        node.start(wrap=["unshare", "--mount", "--propagation", "private"])
        self.assert_failed(node, "E0036")
        self.assertEqual(node.mappings(), {})
        self.assert_says(node.ctl("job", "begin", "1", "--user", "alice", codes=(1,)), "E0046")


if __name__ == "__main__":
    unittest.main()
