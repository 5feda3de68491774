"""A volume that somebody holds on to: `job end` comes back in time, clean or with the culprit named, and the key is dead.

Fast machine. Threat model F1 to F5 are the measured facts behind each case.
"""

import unittest

from node import MIB, Scenario

SECRET = "the-secret-of-alice"
CONFIG_OF_TWO = """[workspace]
hbi = true
[scratch]
disks = ["/dev/disk/by-id/virtual-scratch-a", "/dev/disk/by-id/virtual-scratch-b"]
"""


class Held(Scenario):
    """Each case: alice's job writes a secret and takes hold of scratch in some way; its end must end that."""

    def job(self, **how):
        node = self.node(**how)
        self.cgroup = node.cgroup("job17")
        self.outside = node.cgroup("elsewhere")
        node.ctl("job", "begin", "17", "--user", "alice", "--cgroup", self.cgroup)
        node.sh(f"setpriv --reuid 1001 --regid 1001 --clear-groups sh -c 'echo {SECRET} > /mnt/scratch/17/file'")
        self.keys = node.schedules()
        self.assertEqual(len(self.keys), 2)
        return node

    def end_clean(self, node, **residue):
        ended = node.end("17", timeout=40)
        self.assertTrue(all(self.checks_of(ended).values()), ended)
        for name, count in residue.items():
            self.assertEqual(ended["residue"].get(name), count, ended["residue"])
        self.assert_clean(node)
        self.assertEqual(set(node.ram_hits(*self.keys).values()), {0}, "the old key is still in memory")
        node.sh("test ! -e /mnt/scratch/17")
        return ended

    def test_processes_of_the_jobs_control_group_die(self):
        node = self.job()
        stubborn = node.misbehave("stubborn", 20, cgroup=self.cgroup)
        self.end_clean(node, processes=21, holders=0)
        self.assertEqual(stubborn.wait(5).code, -9)

    def test_a_fork_storm_is_over_in_time(self):
        node = self.job()
        node.sh(f"echo 200 > {self.cgroup}/pids.max || echo +pids > /sys/fs/cgroup/cgroup.subtree_control && echo 200 > {self.cgroup}/pids.max")
        node.misbehave("fork-storm", cgroup=self.cgroup)
        self.end_clean(node)
        self.assertEqual(node.sh(f"cat {self.cgroup}/cgroup.procs").out, "")

    def test_a_private_mount_namespace(self):
        node = self.job()
        node.misbehave("private-mount", uid=0, cgroup=self.outside)
        self.end_clean(node, namespaces=1)

    def test_a_mount_namespace_inside_a_user_namespace(self):
        node = self.job()
        holder = node.misbehave("user-namespace", cgroup=self.outside)
        self.end_clean(node, namespaces=1)
        self.assertEqual(holder.wait(5).code, -9)

    def test_a_mount_namespace_of_a_thread(self):
        node = self.job()
        node.misbehave("thread-namespace", uid=0, cgroup=self.outside)
        self.end_clean(node, namespaces=1)
        self.assertEqual(node.status()["pending"], [])

    def test_a_namespace_kept_only_by_a_descriptor_in_another_group(self):
        node = self.job()
        node.misbehave("user-namespace", cgroup=self.cgroup)
        pid = node.sh(f"cat {self.cgroup}/cgroup.procs").out.split()[-1]
        keeper = node.misbehave("keep-namespace", pid, cgroup=self.outside)
        self.end_clean(node, namespaces=1)
        self.assertEqual(keeper.wait(5).code, -9)

    def test_a_file_mapped_by_a_process_outside_the_group(self):
        node = self.job()
        holder = node.misbehave("map", "/mnt/scratch/17/file", cgroup=self.outside)
        self.end_clean(node, processes=0, holders=1)
        self.assertEqual(holder.wait(5).code, -9)

    def test_a_file_a_folder_a_root_and_a_thread_outside_the_group(self):
        node = self.job()
        holders = [
            node.misbehave("chroot", "/mnt/scratch/17", uid=0, cgroup=self.outside),
            node.misbehave("hold", "/mnt/scratch/17/file", cgroup=self.outside),
            node.misbehave("chdir", "/mnt/scratch/17", cgroup=self.outside),
            node.misbehave("thread-hold", "/mnt/scratch/17/file", cgroup=self.outside),
        ]
        self.end_clean(node, holders=4)
        for holder in holders:
            self.assertEqual(holder.wait(5).code, -9)

    def test_a_bystander_lives_on(self):
        node = self.job()
        bystander = node.misbehave("hold", "/etc/hostname", uid=1001, cgroup=self.outside)
        self.end_clean(node, holders=0)
        self.assertIsNone(bystander.code)

    def test_swap_on_scratch(self):
        node = self.job()
        node.sh("dd if=/dev/zero of=/mnt/scratch/17/swap bs=1M count=16 2>/dev/null; chmod 600 /mnt/scratch/17/swap; "
                "mkswap -q /mnt/scratch/17/swap; swapon /mnt/scratch/17/swap")
        self.end_clean(node, swaps=1)
        self.assertEqual(node.sh("wc -l < /proc/swaps").out, "1\n")

    def test_a_loop_mount_on_scratch(self):
        node = self.job()
        node.sh("truncate -s 64M /mnt/scratch/17/image; mke2fs -q -F /mnt/scratch/17/image; mkdir /tmp/inner; "
                "mount -o loop /mnt/scratch/17/image /tmp/inner; touch /tmp/inner/x")
        holder = node.misbehave("hold", "/tmp/inner/x", uid=0, cgroup=self.outside)
        self.end_clean(node, mounts=1, loops=1)
        self.assertEqual(holder.wait(5).code, -9)
        self.assertEqual(node.sh("losetup -a").out, "")

    def test_a_loop_device_that_nobody_mounted(self):
        node = self.job()
        node.sh("truncate -s 64M /mnt/scratch/17/image; losetup -f /mnt/scratch/17/image")
        self.end_clean(node, mounts=0, loops=1)
        self.assertEqual(node.sh("losetup -a").out, "")

    def test_an_overlay_with_a_layer_on_scratch(self):
        node = self.job()
        node.sh("cd /mnt/scratch/17; mkdir lower upper work; mkdir /tmp/merged; touch lower/x; "
                "mount -t overlay overlay -o lowerdir=/mnt/scratch/17/lower,upperdir=/mnt/scratch/17/upper,workdir=/mnt/scratch/17/work /tmp/merged")
        holder = node.misbehave("hold", "/tmp/merged/x", uid=0, cgroup=self.outside)
        self.end_clean(node, mounts=1, holders=1)
        self.assertEqual(holder.wait(5).code, -9)

    def test_a_stopped_fuse_server_on_scratch(self):
        node = self.job()
        node.sh("mkdir /mnt/scratch/17/fuse")
        node.misbehave("fuse", "/mnt/scratch/17/fuse", uid=0, cgroup=self.outside)
        waiting = node.as_user(["ls", "/mnt/scratch/17/fuse"], uid=0, cgroup=self.outside)
        self.end_clean(node, mounts=1)
        waiting.wait(10)

    def test_a_folder_under_a_stopped_fuse_server(self):
        node = self.job()
        node.sh("mkdir /mnt/scratch/17/fuse")
        below = node.misbehave("chdir", "/mnt/scratch/17/fuse", cgroup=self.outside)
        node.misbehave("fuse", "/mnt/scratch/17/fuse", uid=0, cgroup=self.outside)
        self.end_clean(node, mounts=1, holders=1)
        self.assertEqual(below.wait(5).code, -9)

    def test_a_bind_mount_of_scratch_elsewhere(self):
        node = self.job()
        node.sh("mkdir /tmp/bound; mount --bind /mnt/scratch/17 /tmp/bound")
        self.end_clean(node)
        node.sh("test ! -e /tmp/bound/file")

    def test_a_full_disk_with_much_dirty_data(self):
        node = self.job(disks=1, size=256 * MIB)
        node.sh("dd if=/dev/zero of=/mnt/scratch/17/fill bs=1M 2>/dev/null || true")
        ended = self.end_clean(node)
        self.assertLess(ended["duration_seconds"], 10)

    def test_a_process_that_cannot_die_fails_the_node_with_its_name_and_a_dead_key(self):
        node = self.job(disks=3, config=CONFIG_OF_TWO)
        # A write to a suspended device waits in state D: no signal ends it, as with a dead NFS server.
        node.sh("size=$(blockdev --getsz /dev/ubdc); dmsetup create stuck --table \"0 $size linear /dev/ubdc 0\"; dmsetup suspend stuck")
        minor = node.sh("dmsetup info -c --noheadings -o minor stuck").out.strip()
        stuck = node.as_user(["dd", "if=/mnt/scratch/17/file", f"of=/dev/dm-{minor}", "oflag=direct", "bs=4k", "conv=sync"], uid=0, cgroup=self.cgroup)
        node.sh(f"until grep -q '^State:.D' /proc/$(cat {self.cgroup}/cgroup.procs)/status; do :; done")
        # It shields nobody: neither a later control group nor another holder.
        group = node.cgroup("job17-more")
        idle = node.misbehave("stubborn", 1, cgroup=group)
        holder = node.misbehave("map", "/mnt/scratch/17/file", cgroup=self.outside)
        node.ctl("job", "begin", "17", "--user", "alice", "--cgroup", group)
        refused = node.ctl_json("job", "end", "17", "--timeout", "12", codes=(1,), timeout=40)
        self.assertEqual([p.wait(5).code for p in (idle, holder)], [-9, -9])
        # Time was kept for the key, whatever the process did.
        self.assertLess(node.status()["last_wipe"]["duration_seconds"], 12)
        self.assertEqual(refused["code"], "E0049")
        self.assertRegex(refused["detail"], r"pid \d+ \(dd, uid 0\)")
        self.assert_failed(node, "E0049")
        self.assertNotIn("crypt", node.mappings().values())
        self.assertEqual(set(node.ram_hits(*self.keys).values()), {0})
        self.assertEqual(node.ctl_json("job", "begin", "18", "--user", "bob", codes=(1,))["code"], "E0046")
        node.ctl("report", "verify")
        node.sh("dmsetup resume stuck")
        stuck.wait(10)
        node.end("17")
        self.assert_clean(node)


class Pinned(Scenario):
    def test_a_bind_mounted_namespace_that_no_process_shows_leaves_no_key_and_is_reported(self):
        node = self.node()
        node.begin("17", "alice")
        node.sh("echo secret > /mnt/scratch/17/file")
        keys = node.schedules()
        # A file system of its own, private, so that a namespace can be bound to it; its process then ends.
        node.sh("mkdir -p /tmp/ns; mount --bind /tmp/ns /tmp/ns; mount --make-private /tmp/ns; touch /tmp/ns/mnt")
        node.sh("unshare --mount=/tmp/ns/mnt --propagation private true")
        ended = node.ctl("--json", "job", "end", "17", codes=(0, 1), timeout=40)
        self.assertEqual(set(node.ram_hits(*keys).values()), {0})
        # What the kernel has in its cache is the plain text: whoever finds the namespace gets nothing of it.
        inside = node.machine.run(["nsenter", "--mount=/tmp/ns/mnt", "cat", "/mnt/scratch/17/file"], codes=(1,))
        self.assertIn("Input/output error", inside.err)
        if ended.code == 0:
            # Nobody holds it, so the node may go on; the empty mapping is shown until it goes.
            self.assertEqual(len(node.status()["pending"]), 1)
            self.assertEqual(node.status()["state"], "ready")
            node.sh("umount /tmp/ns/mnt")
            node.machine.run(["sh", "-c", "while dmsetup info -c --noheadings -o name | grep -q 'scratchd-.*-1$'; do :; done"], timeout=20)
            self.assert_clean(node)
        else:
            self.assert_failed(node, "E0042")


if __name__ == "__main__":
    unittest.main()
