"""Which disks scratchd takes, and that it does not touch the others. Fast machine."""

import hashlib
import unittest

from machine import BIN
from node import MIB, Scenario

A = "/dev/disk/by-id/virtual-scratch-a"
B = "/dev/disk/by-id/virtual-scratch-b"


def config(disks, more="", hbi="true"):
    names = ", ".join(f'"{d}"' for d in disks)
    return f"[workspace]\nhbi = {hbi}\n[scratch]\ndisks = [{names}]\n{more}"


class Disks(Scenario):
    def refused(self, prepare, code, disks=(A, B), more="", size=128 * MIB, undo=None):
        """Prepares a disk in some way, starts, and demands a refusal that leaves every byte as it was."""
        node = self.node(start=False, size=size)
        node.sh(prepare)
        node.sh("sync")
        before = self.content(node)
        node.configure(config(disks, more))
        node.start()
        self.assert_failed(node, code)
        self.assertEqual(node.mappings(), {})
        node.ctl("job", "begin", "17", "--user", "alice", codes=(1,))
        node.ctl("wipe", "--yes", codes=None)
        node.sh("sync")
        self.assertEqual(self.content(node), before, "a refused disk was written to")
        shown = {d["device"]: d for d in node.ctl_json("disks")["disks"]}
        if undo:
            node.sh(undo)
            node.restart()
            self.assert_clean(node)
        return node, shown

    def content(self, node):
        return [hashlib.sha256(d.read_bytes()).hexdigest() for d in node.disks]

    def test_a_mounted_disk(self):
        node, shown = self.refused("mke2fs -q -F /dev/ubda; mkdir /tmp/m; mount -r /dev/ubda /tmp/m", "E0021")
        self.assertIn("/tmp/m", shown["/dev/ubda"]["why"])
        self.assertFalse(shown["/dev/ubda"]["chosen"])

    def test_a_disk_below_the_root_file_system(self):
        self.refused("mke2fs -q -F /dev/ubda; mkdir -p /home; mount -r /dev/ubda /home", "E0022")

    def test_a_disk_that_is_swap(self):
        self.refused("mkswap -q /dev/ubda; swapon /dev/ubda", "E0021", undo="swapoff /dev/ubda; wipefs -qa /dev/ubda; blkdiscard -z /dev/ubda")

    def test_a_disk_below_another_mapping(self):
        self.refused('dmsetup create other --table "0 2048 linear /dev/ubda 0"', "E0021", undo="dmsetup remove other")

    def test_a_disk_that_a_program_has_for_itself(self):
        self.refused("python3 -c 'import os,signal; os.open(\"/dev/ubda\", os.O_RDWR|os.O_EXCL); print(1,flush=True); signal.pause()' > /tmp/held 2>&1 & "
                     "until test -s /tmp/held; do :; done", "E0021")

    def test_a_read_only_disk(self):
        self.refused("blockdev --setro /dev/ubda", "E0023", undo="blockdev --setrw /dev/ubda")

    def test_a_disk_with_a_file_system(self):
        node, shown = self.refused("mke2fs -q -F -L data /dev/ubdb", "E0024", undo="wipefs -qa /dev/ubdb; blkdiscard -z /dev/ubdb")
        self.assertTrue(shown["/dev/ubda"]["chosen"])
        self.assertIn("ext", shown["/dev/ubdb"]["why"])

    def test_a_disk_with_partitions(self):
        self.refused("printf 'label: gpt\\n,16M\\n' | sfdisk -q /dev/ubda", "E0024")

    def test_a_disk_with_a_luks_header(self):
        self.refused("printf 'LUKS\\272\\276\\0\\2' | dd of=/dev/ubda conv=notrunc 2>/dev/null", "E0024")

    def test_a_disk_with_data_and_no_signature(self):
        self.refused("head -c 4096 /dev/urandom | dd of=/dev/ubdb bs=4096 seek=17 conv=notrunc 2>/dev/null", "E0024")

    def test_a_disk_that_is_not_there(self):
        self.refused("true", "E0020", disks=(A, "/dev/disk/by-id/virtual-scratch-z"))
        self.refused("true", "E0020", disks=("/dev/disk/by-id/nothing-*",))

    def test_something_that_is_no_disk(self):
        self.refused("touch /dev/disk/by-id/a-file", "E0020", disks=("/dev/disk/by-id/a-file",))

    def test_a_disk_that_is_too_small(self):
        self.refused("true", "E0026", size=8 * MIB)

    def test_adopt_erase_overwrites_and_records_what_the_disk_held(self):
        node = self.node(start=False, size=128 * MIB)
        node.sh("mke2fs -q -F /dev/ubda; mkdir /tmp/m; mount /dev/ubda /tmp/m; "
                "yes plaintext-before-us | head -c 20000000 > /tmp/m/f; umount /tmp/m; sync")
        self.assertGreater(node.scan_disks("plaintext-before-us")["plaintext-before-us"], 100000)
        node.configure(config((A, B), 'adopt = "erase"\n'))
        node.start()
        self.assert_clean(node)
        node.sh("sync")
        self.assertEqual(node.scan_disks("plaintext-before-us")["plaintext-before-us"], 0)
        record = node.ctl_json("report", "show", node.status()["last_wipe"]["sequence"])
        self.assertEqual([d["provenance"] for d in record["disks"]], ["previously_plaintext", "blank"])
        self.assertEqual(record["level"], "clear")

    def test_an_erase_that_was_cut_short_is_done_again_from_the_start(self):
        node = self.node(start=False, size=256 * MIB, disks=1)
        node.sh("mke2fs -q -F /dev/ubda; yes plaintext-before-us | dd of=/dev/ubda bs=1M seek=200 count=50 iflag=fullblock oflag=direct 2>/dev/null")
        node.configure(config((A,), 'adopt = "erase"\n'))
        node.start(failpoints=["erase.piece=kill"], wait=False)
        node.daemon.wait(30)
        node.configure(config((A,)))  # the operator's word was given once
        self.assertGreater(node.scan_disks("plaintext-before-us")["plaintext-before-us"], 100000)
        node.start()
        self.assert_clean(node)
        self.assertEqual(node.scan_disks("plaintext-before-us")["plaintext-before-us"], 0)
        record = node.ctl_json("report", "show", node.status()["last_wipe"]["sequence"])
        self.assertEqual((record["level"], record["disks"][0]["provenance"]), ("clear", "previously_plaintext"))

    def test_a_disk_once_taken_is_taken_again_after_a_reboot_though_it_is_not_blank(self):
        node = self.node(size=128 * MIB)
        node.begin("17", "alice")
        node.stop()
        # What a reboot leaves: the state folder and the disks, no mapping.
        node.sh("umount /mnt/scratch; dmsetup remove $(dmsetup info -c --noheadings -o name | grep -v disks); dmsetup remove_all")
        node.start()
        self.assert_clean(node)

    def test_another_disk_under_the_same_name_is_refused(self):
        node = self.node(size=128 * MIB, disks=3, start=False)
        node.configure(config((A,)))
        node.start()
        self.assert_clean(node)
        node.sh(f"ln -sfn /dev/ubdc {A}")
        refused = node.ctl_json("wipe", "--yes", codes=(1,))
        self.assertEqual(refused["code"], "E0025")
        self.assert_failed(node, "E0025")
        self.assertEqual(node.mappings(), {})
        node.sh("cmp -n 1000000 /dev/ubdc /dev/zero")

    def test_a_disk_that_grew_and_one_that_took_its_number_are_refused(self):
        node = self.node(start=False)
        node.sh("truncate -s 128M /tmp/disk0; losetup /dev/loop0 /tmp/disk0")
        node.configure(config(("/dev/loop0",)))
        node.start()
        node.sh("truncate -s 192M /tmp/disk0; losetup -c /dev/loop0")
        self.assertEqual(node.ctl_json("wipe", "--yes", codes=(1,))["code"], "E0025")
        self.assertEqual(node.mappings(), {})
        # Same name, number, file name and size; only the kernel's count of disks tells them apart.
        node.sh("losetup -d /dev/loop0; rm /tmp/disk0; head -c 128M /dev/zero | tr '\\0' x > /tmp/disk0; losetup /dev/loop0 /tmp/disk0")
        self.assertEqual(node.ctl_json("wipe", "--yes", codes=(1,))["code"], "E0025")
        self.assertEqual(node.sh("tr -d x < /tmp/disk0 | wc -c").out, "0\n")

    def test_a_disk_that_came_into_use_between_two_generations_is_refused(self):
        node = self.node(size=128 * MIB)
        node.begin("17", "alice")
        node.crash()
        node.start(failpoints=["journal.create=stall"])
        ending = node.machine.spawn([node.ctl_program, "job", "end", "17"])
        pid = node.stalled()
        node.sh(f'dmsetup create other --table "0 2048 linear /dev/ubda 0"; kill -CONT {pid}')
        self.assertEqual(ending.wait(60).code, 1)
        self.assert_failed(node, "E0021")
        self.assertEqual(node.mappings(), {})

    def test_kernel_names_are_refused_in_the_configuration(self):
        node = self.node(start=False)
        node.configure(config(("/dev/ubda",)))
        outcome = node.ctl("config", "check", codes=(78,))
        self.assertIn("E0012", outcome.err)
        self.assertIn("scratchd.toml:4:1", outcome.err)
        node.machine.run([str(BIN / "scratchd")], codes=(78,))

    def test_loop_devices_for_development(self):
        node = self.node(start=False)
        node.sh("truncate -s 128M /tmp/disk0; losetup /dev/loop0 /tmp/disk0")
        node.configure(config(("/dev/loop0",)))
        node.start()
        node.begin("17", "alice")
        node.end("17")
        self.assertEqual(node.status()["volume"]["devices"], ["/dev/loop0"])


if __name__ == "__main__":
    unittest.main()
