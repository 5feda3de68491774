"""The power fails right after a step was announced: what was announced must be on the disk. Fast machine.

The state folder lies on a disk of its own. A stalled daemon stands still behind the sync of its journal, and nothing
else writes; what was not synced dies with the guest's memory.
"""

import contextlib
import json
import unittest

from node import MIB, Node, Scenario

CONFIG = """[workspace]
hbi = true
[scratch]
disks = ["/dev/disk/by-id/virtual-scratch-a", "/dev/disk/by-id/virtual-scratch-b"]
"""
STATE = "umount /var/lib/scratchd; mount -o noatime,commit=600 /dev/ubdc /var/lib/scratchd; chmod 700 /var/lib/scratchd"


class Power(Scenario):
    @contextlib.contextmanager
    def stalled(self, point):
        """A node whose daemon stands still at the failpoint in mid-end, or in mid-begin. One at a time: each machine
        keeps a processor."""
        with Node(disks=3, size=128 * MIB, config=CONFIG) as node:
            node.sh("mke2fs -q -F -t ext4 /dev/ubdc; " + STATE)
            begin = [node.ctl_program, "job", "begin", "17", "--user", "alice"]
            if point == "journal.lease":
                node.start(failpoints=[f"{point}=stall"])
                node.machine.spawn(begin)
            else:
                node.start()
                node.machine.run(begin)
                node.crash()
                node.start(failpoints=[f"{point}=stall"])  # takes the job over; the point is reached by its end
                node.machine.spawn([node.ctl_program, "job", "end", "17"])
            node.stalled()
            yield node

    def after_power_cut(self, node):
        node.power_cycle()
        node.sh(STATE)
        lines = node.machine.read("/var/lib/scratchd/journal").splitlines()
        return json.loads(lines[-1].split(" ", 1)[1])

    def test_each_announced_step_is_in_the_journal(self):
        for step in ("lease", "revoke", "key", "create", "record"):
            with self.subTest(step), self.stalled(f"journal.{step}") as node:
                last = self.after_power_cut(node)
                self.assertEqual(last["step"], step)
                self.assertEqual(last["leases"][0]["job"], "17")
                node.start()
                self.assert_clean(node)
                self.assertGreater(node.status()["volume"]["generation"], 1)

    def test_a_record_is_on_the_disk_before_the_node_is_ready(self):
        with self.stalled("journal.ready") as node:
            last = self.after_power_cut(node)
            self.assertEqual((last["step"], last["state"]), ("ready", "ready"))
            self.assertEqual(last["wiped"]["sequence"], 3)
            records = node.sh("ls /var/lib/scratchd/records").out.split()
            self.assertEqual(records[:3], ["00000001.json", "00000002.json", "00000003.json"])
            node.ctl("report", "verify")
            # Ready was true of a kernel that is gone: the node wipes before it says so again.
            node.start()
            self.assert_clean(node)
            self.assertEqual(node.status()["last_wipe"]["sequence"], 4)

    def test_a_key_was_noted_as_seen_before_it_was_used(self):
        with self.stalled("volume.activate") as node:
            node.power_cycle()
            node.sh(STATE)
            self.assertEqual(len(node.machine.read("/var/lib/scratchd/keys.seen").split()), 2)


if __name__ == "__main__":
    unittest.main()
