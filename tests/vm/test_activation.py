"""The moment between a volume's activation and its use: what the daemon finds there decides, not what it asked for.

The daemon stands still right behind the activation; meanwhile the test puts something else in the mapping's place.
Fast machine.
"""

import unittest

from node import Scenario

ADD_KEY = (
    "import ctypes; print(ctypes.CDLL(None).syscall(248, b'logon', b'cryptsetup:planted-d0', b'k' * 63 + b'K', ctypes.c_long(64), -4))"
)  # add_key(2), to root's user keyring
REVOKE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(250, 3, int(sys.argv[1])))"  # keyctl(2), KEYCTL_REVOKE
PLANTED = ":64:logon:cryptsetup:planted-d0"


class Activation(Scenario):
    def plant_key(self, node):
        return node.machine.run(["python3", "-c", ADD_KEY]).out.strip()

    def revoke(self, node, key):
        node.machine.run(["python3", "-c", REVOKE, key])

    def give_key(self, node, key):
        """Waits for the stalled daemon and gives its new mapping another key."""
        pid = node.stalled()
        planted = self.plant_key(node) if "planted" in key else None
        node.sh("name=$(dmsetup info -c --noheadings -o name | grep -v disks); set -- $(dmsetup table $name); "
                f'dmsetup reload $name --table "0 $2 crypt aes-xts-plain64 {key} 0 $7 0 3 no_read_workqueue no_write_workqueue sector_size:4096"; '
                "dmsetup suspend $name; dmsetup resume $name")  # fmt: skip
        if planted:
            self.revoke(node, planted)
        node.sh(f"kill -CONT {pid}")

    def start_with_key(self, node, key):
        node.start(failpoints=["volume.activated=stall"], wait=False)
        self.give_key(node, key)
        node.daemon.wait_line("node.started", "node.start-failed", timeout=60, stream="err")

    def test_the_key_stands_nowhere_but_in_its_schedules(self):
        node = self.node(start=False)
        node.start(failpoints=["volume.activated=stall"], wait=False)
        pid = node.stalled()
        one, two = node.schedules()
        hits = node.ram_hits(one + two, two + one)
        self.assertEqual([hits[one + two], hits[two + one]], [0, 0], "the whole key is left somewhere")
        node.sh(f"kill -CONT {pid}")

    def test_a_table_that_is_not_as_asked_makes_no_volume(self):
        node = self.node(start=False)
        self.start_with_key(node, "0123456789abcdef" * 8)  # it encrypts, but root can read the key
        self.assert_failed(node, "E0031")
        self.assertEqual(node.mappings(), {})

    def test_the_key_of_the_last_generation_is_told_by_its_ciphertext(self):
        node = self.node(start=False)
        self.start_with_key(node, PLANTED)
        self.assert_clean(node)
        node.stop()
        self.start_with_key(node, PLANTED)
        self.assert_failed(node, "E0033")
        self.assertEqual(node.mappings(), {})

    def test_a_new_volume_that_reads_the_old_one_s_data_is_refused(self):
        node = self.node(start=False)
        self.start_with_key(node, PLANTED)
        node.begin("17", "alice")
        node.crash()
        node.start(failpoints=["volume.activated=stall"])
        self.assertEqual(node.status()["state"], "leased")
        ending = node.machine.spawn([node.ctl_program, "job", "end", "17"])
        self.give_key(node, PLANTED)
        self.assertEqual(ending.wait(60).code, 1)
        self.assert_failed(node, "E0070")
        self.assertEqual(node.mappings(), {})

    def test_a_volume_key_left_in_a_keyring_is_no_dead_key(self):
        node = self.node()
        node.begin("17", "alice")
        key = self.plant_key(node)
        node.ctl("job", "end", "17", codes=(1,))
        self.assert_failed(node, "E0070")
        self.assertEqual(node.mappings(), {})
        self.revoke(node, key)
        node.end("17")
        self.assert_clean(node)

    def test_no_signature_of_old_data_shows_through_a_new_key(self):
        node = self.node(start=False)
        node.sh("cp -p /sbin/mke2fs /tmp/mke2fs; rm /sbin/mke2fs")
        # What mkfs would find: bytes that are not zero in the first and the last MiB.
        node.machine.write("/sbin/mke2fs", """#!/bin/sh
for device; do :; done
last=$(( $(blockdev --getsize64 $device) / 1048576 - 1 ))
for at in 0 $last; do dd if=$device bs=1M count=1 skip=$at 2>/dev/null | tr -d '\\0' | wc -c >> /tmp/found; done
exec /tmp/mke2fs "$@"
""", mode=0o755)
        node.start()
        self.assertEqual(node.machine.read("/tmp/found"), "0\n0\n")
        self.assert_clean(node)


if __name__ == "__main__":
    unittest.main()
