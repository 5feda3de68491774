"""Connections that go wrong: who is not the server is not believed, who is slow is given up, and the next one works."""

import threading
import time
import unittest

import faults
from broker import TIMED_OUT, UNREACHABLE, UNTRUSTED, Case, config, secret

SHORT = 950  # ms: less than the first wait before a repetition
BAD = ("self-signed", "expired", "not-yet-valid", "wrong-name", "other-ca", "tls1.1")
VALUES = {"a": "value a", "b": "value b"}


class Connections(Case):
    who = {"source": "imds"}
    sources = None

    def setUp(self):
        super().setUp()
        for name, value in VALUES.items():
            self.vault.set(name, value)
        self.side = self.broker(config([secret(name, identity="me") for name in VALUES], [{"name": "me", **self.who}]), self.sources)


class Tls(Connections):
    def test_a_vault_that_is_not_proven_hears_nothing(self):
        for kind in BAD:
            with self.subTest(kind):
                self.azure.records.clear()
                self.azure.show("vault", kind)
                self.assertEqual(self.refused(self.side, "17", ["a", "b"]).code, UNTRUSTED)
                self.assertEqual(self.azure.records.of("vault"), [])
                self.assertIn(self.vault.host, {host for host, _ in self.azure.records.broken})
                self.azure.heal()
                self.works(self.side, VALUES)


class TlsOfTheLogin(Connections):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        app = cls.azure.entra.register()
        cls.sources = {"app": app.secret("the password of the application")}
        cls.who = {"source": "service-principal", "tenant": cls.azure.tenant, "client_id": app.client_id, "secret_file": "app"}

    def test_a_login_that_is_not_proven_hears_nothing(self):
        for kind in BAD:
            with self.subTest(kind):
                self.azure.records.clear()
                self.azure.show("entra", kind)
                self.assertEqual(self.refused(self.side, "17", ["a", "b"]).code, UNTRUSTED)
                self.assertEqual(self.azure.records.of(), [])
                self.azure.heal()
                self.works(self.side, VALUES)
                self.side.resync()


class Waits(Connections):
    def within_budget(self, code, budget_ms=SHORT, **how):
        """Refused with this code, and not later than the budget allows; the half second is for a busy machine."""
        began = time.monotonic()
        refused = self.refused(self.side, "17", ["a", "b"], budget_ms=budget_ms, **how)
        self.assertEqual(refused.code, code, refused)
        self.assertLess(time.monotonic() - began, budget_ms / 1000 + 0.5)
        self.azure.heal()
        self.works(self.side, VALUES)

    def test_a_drip_does_not_outlast_the_budget(self):
        for service in ("vault", "imds"):
            self.side.resync()
            self.azure.fault(service, faults.drip(), times=None)
            self.within_budget(TIMED_OUT)

    def test_no_answer_at_all(self):
        for service in ("vault", "imds"):
            self.side.resync()
            self.azure.fault(service, faults.hang, times=None)
            self.within_budget(TIMED_OUT)

    def test_a_name_server_that_never_answers(self):
        self.azure.namespace.silence_names()
        self.within_budget(TIMED_OUT)

    def test_names_that_never_resolve_hold_nobody_up(self):
        """A grant that waits for a name leaves the others alone: their values are here."""
        job = self.side.grant("before", ["a"])
        self.azure.namespace.silence_names()
        codes = []
        waiting = threading.Thread(target=lambda: codes.append(self.refused(self.side, "17", ["b"], budget_ms=SHORT).code))
        waiting.start()
        began = time.monotonic()
        self.assertEqual(job.client().get("a"), VALUES["a"].encode())
        self.side.grant("beside", ["a"])
        self.assertTrue(waiting.is_alive(), f"{time.monotonic() - began:.2f} s for what needs no name")
        waiting.join()
        self.assertEqual(codes, [TIMED_OUT])

    def test_nobody_listens(self):
        for where in (self.vault.host, "imds"):
            self.side.resync()
            self.azure.refuse(where)
            self.within_budget(UNREACHABLE)

    def test_cut_once_is_asked_again(self):
        for service, action in (("vault", faults.reset), ("vault", faults.truncated), ("imds", faults.reset)):
            with self.subTest(service):
                self.side.resync()
                planned = self.azure.fault(service, action)
                self.works(self.side, VALUES)
                self.assertEqual(planned.used, 1)


if __name__ == "__main__":
    unittest.main()
