"""The daemon dies or fails at every step that it journals: what it does after a restart. Fast machine.

Whatever happens: never `ready` without a wipe that was proven, no mapping of an older generation left, records intact.
"""

import unittest

from node import Scenario

KILL_STEPS = ["revoke", "processes", "stacked", "shutdown", "sample", "unmount", "key", "prove"]
JOURNAL_STEPS = [f"journal.{s}" for s in [*KILL_STEPS, "create", "record", "ready"]]
VOLUME_POINTS = ["volume.activate", "volume.activated", "volume.formatted"]


class Crash(Scenario):
    def leased(self, node):
        node.begin("17", "alice")
        node.sh("echo plaintext-of-alice > /mnt/scratch/17/file")
        return node.status()["volume"]["generation"]

    def assert_recovered(self, node, generation):
        """Ready with a new generation, and nothing of the old one."""
        self.assert_clean(node)
        now = node.status()
        self.assertGreater(now["volume"]["generation"], generation)
        self.assertTrue(now["last_wipe"]["verified"])
        self.assertEqual(node.sh("ls -A /mnt/scratch").out, "")
        self.assertEqual(len(node.schedules()), 2)

    def test_kill_at_each_step_of_an_end(self):
        node = self.node()
        for point in [*JOURNAL_STEPS, *[f"step.{s}" for s in KILL_STEPS], *VOLUME_POINTS]:
            with self.subTest(point):
                node.stop()
                node.start(failpoints=[] if point in VOLUME_POINTS else [])
                generation = self.leased(node)
                node.crash()
                node.start(failpoints=[f"{point}=kill"])  # adopts the job: the point is reached by its end
                self.assertEqual(node.status()["state"], "leased")
                node.ctl("job", "end", "17", codes=(5,))
                self.assertEqual(node.daemon.wait(20).code, -9)
                node.start()
                self.assert_recovered(node, generation)

    def test_kill_at_each_step_of_a_start(self):
        node = self.node()
        for point in [*JOURNAL_STEPS, *VOLUME_POINTS]:
            with self.subTest(point):
                generation = node.status()["volume"]["generation"] if node.status()["volume"] else 0
                node.stop()
                node.start(failpoints=[f"{point}=kill"], wait=False)
                self.assertEqual(node.daemon.wait(20).code, -9)
                node.start()
                self.assert_recovered(node, generation)

    def test_kill_at_each_step_of_a_begin(self):
        node = self.node()
        for point in ["journal.lease", "begin.folder"]:
            with self.subTest(point):
                node.stop()
                node.start(failpoints=[f"{point}=kill"])
                generation = node.status()["volume"]["generation"]
                node.ctl("job", "begin", "17", "--user", "alice", codes=(5,))
                self.assertEqual(node.daemon.wait(20).code, -9)
                node.start()
                # The lease was journaled before the folder was made: the job has it, whether or not it heard of it.
                self.assertEqual(node.status()["state"], "leased")
                self.assertEqual(node.begin("17", "alice")["generation"], generation)
                node.end("17")
                self.assert_recovered(node, generation)

    def test_every_failing_step_of_an_end_fails_the_node_and_a_second_end_mends_it(self):
        node = self.node()
        for point in [*JOURNAL_STEPS, *[f"step.{s}" for s in KILL_STEPS], *VOLUME_POINTS]:
            with self.subTest(point):
                generation = self.leased(node)
                keys = node.schedules()
                node.crash()
                node.start(failpoints=[f"{point}=fail:5"])
                self.assertEqual(node.status()["state"], "leased")
                node.ctl("job", "end", "17", codes=(1,))
                self.assertEqual(node.status()["state"], "failed")
                if point not in ("step.key", "step.prove"):
                    self.assertEqual(set(node.ram_hits(*keys).values()), {0}, "a failure elsewhere kept the key alive")
                node.ctl("job", "begin", "18", "--user", "bob", codes=(1,))
                node.end("17")
                self.assert_recovered(node, generation)

    def test_a_begin_that_fails_leaves_no_lease_and_no_folder(self):
        node = self.node()
        for point in ["journal.lease", "begin.folder"]:
            with self.subTest(point):
                node.stop()
                node.start(failpoints=[f"{point}=fail:5"])
                node.ctl("job", "begin", "17", "--user", "alice", codes=(1,))
                self.assertEqual(node.status()["jobs"], [])
                self.assertEqual(node.status()["state"], "ready")
                node.sh("test ! -e /mnt/scratch/17")
                node.begin("17", "alice")
                node.end("17")

    def test_a_restart_in_mid_job_takes_the_job_over(self):
        node = self.node()
        generation = self.leased(node)
        keys = node.schedules()
        node.restart()
        now = node.status()
        self.assertEqual((now["state"], now["volume"]["generation"], now["jobs"][0]["id"]), ("leased", generation, "17"))
        self.assertEqual(node.sh("cat /mnt/scratch/17/file").out, "plaintext-of-alice\n")
        node.stop()  # a package upgrade: the job's volume stays
        self.assertEqual(node.sh("cat /mnt/scratch/17/file").out, "plaintext-of-alice\n")
        node.start()
        self.assertEqual(sorted(node.schedules()), sorted(keys))
        node.end("17")
        self.assert_recovered(node, generation)
        self.assertEqual(set(node.ram_hits(*keys).values()), {0})

    def test_a_volume_that_is_not_as_the_journal_says_is_wiped_not_adopted(self):
        node = self.node()
        for spoil in ["umount /mnt/scratch", "umount -l /mnt/scratch; mount -t tmpfs tmpfs /mnt/scratch"]:
            with self.subTest(spoil):
                generation = self.leased(node)
                node.crash()
                node.sh(spoil)
                node.start()
                now = node.status()
                if "tmpfs" in spoil:
                    self.assertEqual(now["state"], "failed")
                    self.assertTrue(now["reason"].startswith("E0037"), now["reason"])
                    node.sh("umount /mnt/scratch")
                    node.ctl("wipe", "--yes")
                self.assert_recovered(node, generation)

    def test_a_volume_under_another_table_is_wiped_not_adopted(self):
        node = self.node()
        generation = self.leased(node)
        node.crash()
        node.sh("name=$(dmsetup info -c --noheadings -o name | grep -v disks); set -- $(dmsetup table $name); "
                'dmsetup reload $name --table "0 $2 linear $7 0"; dmsetup suspend --noflush --nolockfs $name; dmsetup resume $name')
        node.start()
        self.assertEqual(node.status()["jobs"], [])
        self.assert_recovered(node, generation)

    def test_a_journal_that_was_changed_is_put_aside_and_the_disk_wiped(self):
        node = self.node()
        generation = self.leased(node)
        node.crash()
        node.sh("sed -i '1s/leased/ready_/; 2s/./x/' /var/lib/scratchd/journal")
        node.start()
        self.assert_clean(node)
        self.assertEqual(node.sh("ls /var/lib/scratchd/journal.broken").code, 0)
        self.assertEqual(len(node.schedules()), 2)
        self.assertGreater(node.status()["last_wipe"]["sequence"], 2)
        del generation

    def test_a_torn_last_line_of_the_journal_is_dropped(self):
        node = self.node()
        self.leased(node)
        node.crash()
        node.sh("printf 'deadbeef {\"half\":' >> /var/lib/scratchd/journal")
        node.start()
        self.assertEqual(node.status()["state"], "leased")
        node.end("17")
        self.assert_clean(node)

    def test_losing_the_state_folder_means_a_wipe(self):
        node = self.node()
        self.leased(node)
        keys = node.schedules()
        node.crash()
        node.sh("rm -rf /var/lib/scratchd/*")
        node.start()
        # The disk is not in the ledger any more and not blank: it is not ours to touch, but the key must be dead.
        self.assert_failed(node, "E0024")
        self.assertEqual(set(node.ram_hits(*keys).values()), {0})

    def test_a_second_daemon_does_not_start(self):
        node = self.node()
        argv = node.daemon.argv
        second = node.machine.run(argv, codes=(3,))
        self.assertIn("E0052", second.err)
        node.begin("17", "alice")
        node.end("17")


if __name__ == "__main__":
    unittest.main()
