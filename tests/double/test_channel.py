"""root's side of the channel does what scratchd does, and a job's client is who it says: tried with a fake broker."""

import os
import pathlib
import stat
import unittest

from azure import Azure
from channel import BROKER_UID, Refused, RootSide
from job_client import Refused as JobRefused
from job_client import as_user

FAKE = pathlib.Path(__file__).with_name("fake_broker.py").read_text()  # its user may not be able to read this folder


class Channel(unittest.TestCase):
    def root_side(self, **how):
        side = RootSide("/usr/bin/python3", sources={"a": b"first", "b": b"other"}, arguments=["-B", "-I", "-c", FAKE], **how)
        side.argv.append(side.runtime)
        return self.enterContext(side)

    def test_a_job_gets_its_credentials_and_loses_them(self):
        side = self.root_side()
        self.assertEqual(os.stat(f"/proc/{side.child.pid}").st_uid, BROKER_UID)
        job = side.grant("17", ["a", "b"], files=["a"])
        self.assertEqual((job.names(), job.read("a")), (["a"], b"first"))
        status = os.stat(job.files / "a")
        self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid), (0o400, 1001, 1001))
        self.assertEqual(stat.S_IMODE(os.stat(job.socket).st_mode), 0o600)
        self.assertEqual((job.client().get("b"), job.client().list()), (b"other", ["a", "b"]))
        with self.assertRaises(JobRefused) as refused:
            job.client().get("c")
        self.assertEqual(refused.exception.status, 90)
        with self.assertRaises(PermissionError):
            job.client(uid=1002).get("b")
        with self.assertRaises(ConnectionError):  # root may connect, and is not the job's user
            job.client(uid=0).get("b")
        self.assertLess(side.revoke("17"), 1)
        self.assertFalse(job.folder.exists())
        with self.assertRaises(FileNotFoundError):
            job.client().get("b")

    def test_what_is_refused_leaves_nothing(self):
        side = self.root_side()
        side.source("open", "x", mode=0o644)
        (side.directory / "link").symlink_to("a")
        for name, code in (("never", 96), ("open", 94), ("link", 96), ("../scratchd.toml", 94)):
            with self.assertRaises(Refused) as refused:
                side.grant("17", ["a", name], files=["a"])
            self.assertEqual(refused.exception.code, code, name)
            self.assertFalse((side.runtime / "jobs/17").exists())
        side.grant("17", ["a"])

    def test_a_file_is_replaced_whole_and_withdrawn(self):
        side = self.root_side()
        job = side.grant("17", ["a", "b"])
        reader = (job.files / "a").open("rb")
        self.addCleanup(reader.close)
        side.source("a", "second")
        (side.directory / "b").unlink()
        self.assertEqual(side.resync()["op"], "resynced")
        self.assertEqual((job.names(), job.read("a"), reader.read()), (["a"], b"second", b"first"))
        self.assertEqual([m["name"] for m in side.asked("filled") + side.asked("withdraw")], ["a", "b"])

    def test_root_may_misbehave(self):
        side = self.root_side()
        side.answer = lambda message: ({"op": "no-source", "code": 94, "what": "not today"}, [])
        with self.assertRaisesRegex(Refused, "E0094: not today"):
            side.grant("17", ["a"])
        side.answer = lambda message: None
        with self.assertRaises(TimeoutError):
            side.request({"op": "resync"} if side.jobs else {"op": "revoke-nothing"}, timeout=0.1)

    def test_inside_of_the_double(self):
        azure = self.enterContext(Azure())
        side = self.root_side(spawn=azure.spawn)
        self.assertEqual(side.grant("17", ["a"]).client().get("a"), b"first")
        self.assertEqual(os.readlink(f"/proc/{side.child.pid}/ns/net"), os.readlink(f"/proc/{azure.namespace.holder.pid}/ns/net"))
        self.assertEqual(side.stop(), -15)

    def test_a_thread_is_another_user_and_the_process_is_not(self):
        self.assertEqual(as_user(1001, lambda: (os.geteuid(), os.getegid(), os.getgroups())), (1001, 1001, []))
        self.assertEqual(os.geteuid(), 0)


if __name__ == "__main__":
    unittest.main()
