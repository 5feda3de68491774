"""How long a credential lives: renewed in place, withdrawn in time, served a little longer while the vault is away."""

import time
import unittest

import faults
from broker import DISABLED, GONE, MISSING, THROTTLED, UNREACHABLE, VAULT_DENIED, Case, audit, config, secret
from job_client import Refused as JobRefused

MAX_AGE, STALE = 1, 1  # s
MARGIN = 0.5  # s, for two busy cores
TABLE = {"max_age": f"{MAX_AGE}s", "stale": f"{STALE}s", "budget": "2s"}


class Lifetime(Case):
    def setUp(self):
        super().setUp()
        for name in ("a", "b"):
            self.vault.secrets.pop(name, None)
            self.vault.forbid(name, None)
            self.vault.set(name, f"first {name}")

    def granted(self, **table):
        self.side = self.broker(config([secret("a"), secret("b")], **table))
        return self.side.grant("17", ["a", "b"])

    def heard(self, op, name, timeout=30):
        return self.side.wait(lambda m: m["op"] == op and m["name"] == name, timeout)["at"]

    def assert_gone(self, job, name):
        """Neither socket nor file gives it any more; what else was granted is there."""
        with self.assertRaises(JobRefused) as refused:
            job.client().get(name)
        self.assertIn(f"E{GONE:04}", str(refused.exception))
        self.side.request({"op": "revoke", "job": "nobody"})  # answered after the withdrawal
        self.assertNotIn(name, job.names())
        self.assertEqual([c["available"] for c in job.client().list() if c["name"] == name], [False])

    def last_fetched(self, name):
        return [r for r in self.azure.records.of("vault", f"/secrets/{name}") if r.status == 200][-1].started

    def test_a_new_version_replaces_the_file_within_max_age(self):
        job = self.granted(max_age=TABLE["max_age"])
        reader = (job.files / "a").open("rb")
        self.addCleanup(reader.close)
        before = len(self.side.asked("filled"))
        self.vault.set("a", "second, which is longer")
        began = time.monotonic()
        self.assertLess(self.heard("filled", "a") - began, MAX_AGE + MARGIN)
        self.side.request({"op": "revoke", "job": "nobody"})
        self.assertEqual((job.read("a"), job.client().get("a"), reader.read()), (b"second, which is longer",) * 2 + (b"first a",))
        self.assertEqual((job.read("b"), len(self.side.asked("filled")) - before), (b"first b", 1))
        self.assertEqual(job.names(), ["a", "b"])

    def test_what_the_vault_takes_back_is_gone_within_max_age(self):
        for name, code, change in (
            ("disabled", DISABLED, lambda: setattr(self.vault.newest("a"), "enabled", False)), ("deleted", MISSING, lambda: self.vault.delete("a")),
        ):  # fmt: skip
            with self.subTest(name):
                self.setUp()
                job = self.granted(**TABLE)
                change()
                began = time.monotonic()
                self.assertLess(self.heard("withdraw", "a") - began, MAX_AGE + MARGIN)
                self.assert_gone(job, "a")
                self.assertEqual(job.client().get("b"), b"first b")
                self.assertTrue(audit(self.side, "credential.withdrawn", credential="a", code=f"E{code:04}"))

    def test_an_outage_is_bridged_for_stale_and_no_longer(self):
        for action, status in ((faults.status(503), UNREACHABLE), (faults.status(429), THROTTLED), (faults.hang, 0)):
            with self.subTest(status):
                self.setUp()
                job = self.granted(**TABLE)
                self.azure.fault("vault", action, times=None, path="/secrets/a")
                withdrawn = self.heard("withdraw", "a")
                age = withdrawn - self.last_fetched("a")
                self.assertLess(age, MAX_AGE + STALE + MARGIN)
                self.assertGreater(age, MAX_AGE + STALE - 0.1)  # the record is a little later than the question
                self.assert_gone(job, "a")
                self.azure.heal()
                self.heard("filled", "a")
                self.side.request({"op": "revoke", "job": "nobody"})
                self.assertEqual((job.read("a"), job.client().get("a")), (b"first a", b"first a"))
                self.side.revoke("17")

    def test_who_is_denied_is_not_in_an_outage(self):
        job = self.granted(**{**TABLE, "stale": "1h"})
        self.vault.forbid("a")
        age = self.heard("withdraw", "a") - self.last_fetched("a")
        self.assertLess(age, MAX_AGE + MARGIN)
        self.assert_gone(job, "a")
        self.assertTrue(audit(self.side, "credential.withdrawn", code=f"E{VAULT_DENIED:04}"))

    def test_without_stale_an_outage_ends_it_at_max_age(self):
        job = self.granted(max_age=TABLE["max_age"])
        self.azure.refuse(self.vault.host)
        age = self.heard("withdraw", "a") - self.last_fetched("a")
        self.assertLess(age, MAX_AGE + MARGIN)
        self.assert_gone(job, "a")

    def test_resync_asks_at_once_with_a_new_token(self):
        job = self.granted()
        self.vault.set("a", "second a")
        self.azure.records.clear()
        self.side.resync()
        self.assertEqual((job.read("a"), job.client().get("a"), job.read("b")), (b"second a", b"second a", b"first b"))
        self.assertEqual((len(self.azure.records.of("imds")), len(self.azure.records.of("vault"))), (1, 2))
        self.vault.delete("b")
        answer = self.side.resync()
        self.assertEqual((answer["op"], answer["code"]), ("resynced", MISSING))
        self.assert_gone(job, "b")


if __name__ == "__main__":
    unittest.main()
