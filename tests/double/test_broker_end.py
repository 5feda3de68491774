"""The end of a job, and of the conversation with root: sockets closed within a second, nothing answered after it."""

import shutil
import socket
import threading
import unittest

import faults
from broker import GONE, Case, audit, config, secret
from channel import Refused
from job_client import FRAME, as_user, connect, exchange

GET = b'{"op":"get","name":"a"}'
LIST_KEYS = b"\x0b"


class End(Case):
    def setUp(self):
        super().setUp()
        self.vault.set("a", "value a")
        self.side = self.broker(config([secret("a")], max_age="1s"))

    def connections(self, job):
        """One of each socket that was answered, one that says nothing, and one in the middle of a frame."""
        made = []
        for path, words in ((job.socket, GET), (job.agent, LIST_KEYS), (job.socket, b""), (job.socket, None)):
            client = as_user(job.uid, lambda path=path: connect(path))
            self.addCleanup(client.close)
            made.append(client)
            if words:
                as_user(job.uid, lambda client=client, words=words: exchange(client, words))
            elif words is None:
                as_user(job.uid, lambda client=client: client.sendall(FRAME.pack(len(GET)) + GET[:5]))
        return made

    def assert_closed(self, clients, timeout=20):
        for client in clients:
            client.settimeout(timeout)
            try:
                self.assertEqual(client.recv(1), b"")
            except ConnectionResetError:
                pass  # it had sent what was not read

    def end(self, message):
        """Revokes without removing the folder, as root does a moment later."""
        return self.side.request({"op": "revoke", "job": message}, timeout=5)

    def test_its_connections_are_closed_within_a_second(self):
        job, other = self.side.grant("17", ["a"]), self.side.grant("18", ["a"], uid=1002, user="bob")
        clients, others = self.connections(job), self.connections(other)
        self.end("17")
        self.assert_closed(clients, timeout=1)
        for path in (job.socket, job.agent):
            with self.assertRaises(ConnectionRefusedError):
                as_user(job.uid, lambda path=path: connect(path))
        self.assertEqual(as_user(1002, lambda: exchange(others[0], GET)), b"\0value a")
        self.assertEqual(other.client().get("a"), b"value a")
        self.assertLess(self.side.revoke("18"), 1)
        self.assert_closed(others, timeout=1)

    def test_revoked_twice_or_never_granted_is_revoked(self):
        self.side.grant("17", ["a"])
        for name in ("17", "17", "never", "", "../17"):
            self.assertEqual(self.end(name)["op"], "revoked")

    def test_what_is_on_its_way_does_not_arrive(self):
        held = threading.Event()
        self.addCleanup(held.set)
        self.azure.fault("vault", faults.late(held))
        outcome = []

        def grant():
            try:
                self.side.grant("17", ["a"])
            except Refused as refused:
                outcome.append((refused.code, self.side.half_written))

        waiting = threading.Thread(target=grant)
        waiting.start()
        self.azure.records.wait(1, "vault")
        self.end("17")
        held.set()
        waiting.join()
        self.assertEqual(outcome, [(GONE, [])])
        self.works(self.side, {"a": "value a"})

    def test_granted_again_it_is_another_job_with_its_values(self):
        """Root that was not told of a grant asks anew: the first one's sockets are closed, the second one's values are there."""
        side = self.broker(config([secret("a")]))  # old enough for no renewal to help
        first = side.grant("17", ["a"])
        clients = self.connections(first)
        shutil.rmtree(first.folder)
        second = side.grant("17", ["a"], uid=1002, user="bob")
        self.assert_closed(clients, timeout=1)
        self.assertEqual((second.client().get("a"), second.read("a")), (b"value a", b"value a"))
        self.assertEqual(len(self.azure.records.of("vault")), 1)

    def test_no_question_of_the_vault_after_the_end(self):
        job = self.side.grant("17", ["a"])
        self.azure.records.wait(2, "vault")  # it is kept young
        self.side.revoke("17")
        self.assertFalse(job.folder.exists())
        self.azure.records.wait(len(self.azure.records.of("vault")), "vault", ended=True)
        before = len(self.azure.records.of("vault"))
        # Another job's renewals are the clock: after three of them the first job's would have come too.
        self.vault.set("b", "value b")
        side = self.broker(config([secret("b")], max_age="1s"))
        side.grant("18", ["b"])
        self.azure.records.wait(4, "vault", "/secrets/b")
        self.assertEqual(len(self.azure.records.of("vault", "/secrets/a")), before)

    def test_root_that_comes_back_keeps_its_jobs_and_ends_the_others(self):
        kept, gone = self.side.grant("17", ["a"]), self.side.grant("18", ["a"])
        clients, others = self.connections(kept), self.connections(gone)
        self.side.jobs.pop("18")
        self.side._hang_up()
        self.side.connect()
        self.assert_closed(others)
        self.assertEqual(as_user(kept.uid, lambda: exchange(clients[0], GET)), b"\0value a")
        self.vault.set("a", "second a")
        self.side.wait(lambda m: m["op"] == "filled" and m["job"] == "17")

    def test_root_that_stays_away_has_lost_its_jobs(self):
        clients = self.connections(self.side.grant("17", ["a"]))
        self.side.channel.shutdown(socket.SHUT_RDWR)
        self.assert_closed(clients)
        self.assertTrue(audit(self.side, "root-link.lost", jobs=1))

    def test_the_broker_ends_and_all_is_closed(self):
        clients = self.connections(self.side.grant("17", ["a"]))
        self.assertEqual(self.side.stop(), 0)
        self.assert_closed(clients)


if __name__ == "__main__":
    unittest.main()
