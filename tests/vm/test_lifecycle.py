"""The lease: begin, end, again, twice, together, in the wrong order. Fast machine."""

import unittest

from node import Scenario


# Every check of a wipe, in order. One that is missing here was not made.
CHECKS = """processes-gone key-destroyed no-table no-key-in-keyring unmounted no-live-mapping no-holder table-as-asked
old-data-unreadable disk-encrypts ends-zeroed mounted""".split()


class Lease(Scenario):
    def test_a_wipe_makes_every_check(self):
        node = self.node()
        node.begin("17", "alice")
        ended = node.end("17")
        self.assertEqual([c["name"] for c in ended["checks"]], CHECKS)
        record = node.ctl_json("report", "show", ended["sequence"])
        self.assertEqual([c["name"] for c in record["checks"]], CHECKS)
        for name in ("total", "create", "revoke", "processes", "stacked", "shutdown", "sample", "unmount", "key", "prove"):
            self.assertIn(name, record["durations_ms"])
        self.assertEqual(record["initiator"]["program"], "scratchctl")
        self.assertEqual(record["initiator"]["uid"], 0)
        self.assertNotEqual(record["key_before"], record["key_after"])

    def test_the_daemon_guards_its_memory(self):
        node = self.node()
        pid = node.sh("pgrep -x scratchd").out.strip()
        status = dict(l.split(":\t", 1) for l in node.machine.read(f"/proc/{pid}/status").splitlines() if ":\t" in l)
        self.assertGreater(int(status["VmLck"].split()[0]), 1000)
        self.assertRegex(node.machine.read(f"/proc/{pid}/limits"), r"Max core file size +0 +0 ")
        # A program that takes dumps gets them whatever the limit is; the process waits for it.
        node.machine.write("/tmp/take", "#!/bin/sh\nexec cat > /tmp/cores/core\n", mode=0o755)
        node.sh("mkdir /tmp/cores; echo '|/tmp/take' > /proc/sys/kernel/core_pattern; echo 1 > /proc/sys/kernel/core_pipe_limit")
        node.daemon.kill(6)
        node.daemon.wait(10)
        self.assertEqual(node.sh("ls /tmp/cores").out, "")

    def test_a_job_gets_a_folder_of_its_own_and_loses_it(self):
        node = self.node()
        before = node.status()
        self.assertEqual(before["state"], "ready")
        begun = node.begin("17", "alice")
        self.assertEqual(begun["directory"], "/mnt/scratch/17")
        self.assertEqual(begun["env"], {"SCRATCHD_JOB_DIR": "/mnt/scratch/17", "TMPDIR": "/mnt/scratch/17"})
        self.assertEqual(node.sh("stat -c '%a %u %g' /mnt/scratch/17").out, "700 1001 1001\n")
        node.sh("setpriv --reuid 1001 --regid 1001 --clear-groups touch /mnt/scratch/17/mine")
        self.assertRegex(node.sh("cat /proc/mounts").out, r"/mnt/scratch ext4 \S*nosuid,nodev")
        node.sh("setpriv --reuid 1002 --regid 1002 --clear-groups ls /mnt/scratch/17", codes=(2,))
        node.sh("setpriv --reuid 1001 --regid 1001 --clear-groups touch /mnt/scratch/elsewhere", codes=(1,))
        self.assertEqual(node.status()["state"], "leased")
        ended = node.end("17")
        self.assertTrue(all(self.checks_of(ended).values()), ended)
        self.assertEqual(ended["generation"], begun["generation"] + 1)
        self.assertEqual(node.sh("ls -A /mnt/scratch").out, "")
        self.assert_clean(node)

    def test_begin_twice_is_the_same_lease_and_end_twice_the_same_record(self):
        node = self.node()
        first = node.begin("a.b-1", "alice")
        self.assertEqual(node.begin("a.b-1", "alice"), first)
        self.assertEqual(node.ctl_json("job", "begin", "a.b-1", "--user", "bob", codes=(4,))["code"], "E0043")
        record = node.end("a.b-1")["sequence"]
        again = node.end("a.b-1")
        self.assertEqual(again["sequence"], record)
        self.assertEqual(node.status()["last_wipe"]["sequence"], record)

    def test_end_without_begin_does_nothing_and_says_so(self):
        node = self.node()
        generation = node.status()["volume"]["generation"]
        outcome = node.ctl("--json", "job", "end", "never-seen")
        self.assertIn("E0045", outcome.err)
        self.assertIn('"known": false', outcome.out)
        self.assertEqual(node.status()["volume"]["generation"], generation)

    def test_the_volume_is_wiped_when_the_last_of_several_jobs_leaves(self):
        node = self.node()
        for job, user in (("1", "alice"), ("2", "bob"), ("3", "alice")):
            node.begin(job, user)
        node.sh("mkdir -p /mnt/scratch/1/deep/er; echo x > /mnt/scratch/1/deep/er/file; ln -s /etc /mnt/scratch/1/link")
        node.sh("echo y > /mnt/scratch/2/stays")
        generation = node.status()["volume"]["generation"]
        left = node.end("1")
        self.assertEqual(left["generation"], generation)
        self.assertEqual(left["residue"]["files"], 5)
        self.assertEqual(node.sh("ls /mnt/scratch").out, "2\n3\n")
        self.assertEqual(node.sh("cat /mnt/scratch/2/stays; test -e /etc/passwd").out, "y\n")
        self.assertEqual(node.end("unknown")["known"], False)
        self.assertEqual(node.ctl_json("wipe", "--yes", codes=(3,))["code"], "E0048")
        node.end("3")
        self.assertEqual(node.end("2")["generation"], generation + 1)
        self.assert_clean(node)

    def test_the_operator_wipes_between_jobs(self):
        node = self.node()
        generation = node.status()["volume"]["generation"]
        self.assertEqual(node.ctl_json("wipe", "--dry-run")["method"], "crypto")
        self.assertEqual(node.status()["volume"]["generation"], generation)
        self.assertEqual(node.ctl_json("wipe", codes=(2,))["code"], "E0005")
        self.assertEqual(node.ctl_json("wipe", "--yes", "--method", "zero", codes=(4,))["code"], "E0072")
        self.assertEqual(node.ctl_json("wipe", "--yes")["generation"], generation + 1)
        self.assert_clean(node)

    def test_who_may_not_open_the_socket_reads_the_published_status(self):
        node = self.node()
        as_bob = ("setpriv", "--reuid", "1002", "--regid", "1002", "--clear-groups")
        ctl = node.ctl("version").argv[0]
        seen = node.machine.run([*as_bob, ctl, "--json", "status"])
        self.assertEqual(seen.out, node.ctl("--json", "status").out)
        refused = node.machine.run([*as_bob, ctl, "job", "begin", "1", "--user", "bob"], codes=(6,))
        self.assertIn("E0004", refused.err)

    def test_a_daemon_whose_mounts_jobs_would_not_see_touches_nothing(self):
        node = self.node(start=False)
        node.start(wrap=["unshare", "--mount", "--propagation", "private"])
        self.assert_failed(node, "E0036")
        node.ctl("job", "begin", "17", "--user", "alice", codes=(1,))
        node.sh("cmp -n 1000000 /dev/ubda /dev/zero; cmp -n 1000000 /dev/ubdb /dev/zero")

    def test_a_job_cannot_write_to_the_bare_mount_point(self):
        node = self.node(start=False)
        node.sh("mkdir -p /mnt/scratch; chmod 755 /mnt/scratch")
        node.start()
        node.stop()
        self.assertNotIn("/mnt/scratch", node.sh("cat /proc/mounts").out)
        self.assertEqual(node.sh("stat -c %a /mnt/scratch").out, "0\n")
        node.sh("setpriv --reuid 1001 --regid 1001 --clear-groups touch /mnt/scratch/x", codes=(1,))
        node.sh("touch /mnt/scratch/x", codes=(1,))  # not even root: immutable
        self.assertEqual(node.mappings(), {})
        node.start()
        self.assert_clean(node)

    def test_xfs_by_option(self):
        node = self.node(start=False)
        node.configure('[workspace]\nhbi = true\n[scratch]\ndisks = ["/dev/disk/by-id/virtual-scratch-*"]\nfilesystem = "xfs"\n')
        node.start()
        node.begin("1", "alice")
        self.assertIn("/mnt/scratch xfs ", node.sh("cat /proc/mounts").out)
        node.sh("dd if=/dev/zero of=/mnt/scratch/1/dirty bs=1M count=64 2>/dev/null")
        node.end("1")
        self.assert_clean(node)

    def test_one_disk_needs_no_stripe(self):
        node = self.node(disks=1)
        node.begin("1", "alice")
        self.assertEqual(list(node.mappings().values()), ["crypt"])
        node.end("1")
        self.assert_clean(node)


if __name__ == "__main__":
    unittest.main()
