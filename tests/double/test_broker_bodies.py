"""Answers that are not what they should be: refused with their code, within bounds of memory, and forgotten at once."""

import os
import unittest

import faults
from broker import IDENTITY, MALFORMED, UNREACHABLE, Case, config, secret, status

SHORT = 950  # ms: less than the first wait before a repetition
EVERYWHERE = {
    "empty": (faults.empty(), MALFORMED),
    "a page": (faults.html(200), MALFORMED),
    "no JSON": (faults.raw(b"\xff\xfe{"), MALFORMED),
    "no object": (faults.raw(b'["value"]'), MALFORMED),
    "two objects": (faults.raw(b"{}{}"), MALFORMED),
    "cut JSON": (faults.raw(b'{"value":"a'), MALFORMED),
    "deep": (faults.deep(), MALFORMED),
    "deep without end": (faults.deep(closed=False), MALFORMED),
    "64 MiB": (faults.oversized(), MALFORMED),
    "64 MiB, unannounced": (faults.oversized(declared=False), MALFORMED),
    "without end": (faults.endless, MALFORMED),
    "1 MB of headers": (faults.many_headers(), MALFORMED),
    "truncated": (faults.truncated, UNREACHABLE),
    "reset in the middle": (faults.reset, UNREACHABLE),
}
OF_THE_VAULT = {
    "value a number": (faults.wrong_type("value"), MALFORMED),
    "value null": (faults.wrong_type("value", value=None), MALFORMED),
    "value empty": (faults.wrong_type("value", value=""), MALFORMED),
    "no value": (faults.without("value"), MALFORMED),
    "value twice": (faults.duplicate_key("value", "evil"), MALFORMED),
    "id twice": (faults.duplicate_key("id", "evil"), MALFORMED),
    "id a list": (faults.wrong_type("id", value=[]), MALFORMED),
    "no id": (faults.without("id"), MALFORMED),
    "attributes a text": (faults.wrong_type("attributes", value="enabled"), MALFORMED),
    "no attributes": (faults.without("attributes"), MALFORMED),
    "enabled a text": (faults.wrong_type("attributes", value={"enabled": "true"}), MALFORMED),
    "exp a text": (faults.wrong_type("attributes", value={"enabled": True, "exp": "tomorrow"}), MALFORMED),
    "exp a fraction": (faults.wrong_type("attributes", value={"enabled": True, "exp": 9e99}), MALFORMED),
    "a compressed one": (faults.respond(faults.Response(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")), MALFORMED),
}
OF_IMDS = {
    "token a number": (faults.wrong_type("access_token"), MALFORMED),
    "token with a new line": (faults.wrong_type("access_token", value="a\r\nX-Evil: 1"), MALFORMED),
    "no token": (faults.without("access_token"), MALFORMED),
    "token twice": (faults.duplicate_key("access_token", "evil"), MALFORMED),
    "no end": (faults.without("expires_in", "expires_on"), MALFORMED),
    "past its end": (faults.wrong_type("expires_in", value="0"), MALFORMED),
    "no bearer": (faults.wrong_type("token_type", value="PoP"), MALFORMED),
    "for another resource": (faults.wrong_type("resource", value="https://vault.evil.example"), IDENTITY),
}


class Bodies(Case):
    def setUp(self):
        super().setUp()
        self.vault.set("a", "value a")
        self.vault.set("b", "value b")
        self.side = self.broker(config([secret("a"), secret("b")]))
        self.works(self.side, {"a": "value a", "b": "value b"})

    def meets(self, service, table, path=""):
        """Each fault of the table, met by every request, refuses the grant with its code; after it all is well."""
        for name, (action, code) in table.items():
            with self.subTest(name):
                self.azure.heal()
                self.side.resync()  # no token is kept
                planned = self.azure.fault(service, action, times=None, path=path)
                # Without a path both would fail, and the second may still be under way when the first has refused all.
                names = ["a", "b"] if path or service != "vault" else ["a"]
                refused = self.refused(self.side, "17", names, budget_ms=SHORT if code == UNREACHABLE else 20000)
                self.assertEqual(refused.code, code, refused)
                self.assertGreaterEqual(planned.used, 1)
                self.assertNotIn("evil", refused.what)
                self.azure.heal()
                self.works(self.side, {"a": "value a", "b": "value b"})

    def test_of_the_vault_for_one_of_two_secrets(self):
        self.meets("vault", {**EVERYWHERE, **OF_THE_VAULT}, "/secrets/b")

    def test_of_imds(self):
        self.meets("imds", {**EVERYWHERE, **OF_IMDS})

    def test_large_ones_cost_no_memory(self):
        before = status(self.side, "VmHWM")
        for service in ("imds", "vault"):
            for action in (faults.oversized(), faults.oversized(declared=False), faults.endless, faults.deep(), faults.many_headers()):
                self.side.resync()
                self.azure.fault(service, action, times=None)
                self.assertEqual(self.refused(self.side, "17", ["a", "b"]).code, MALFORMED)
                self.azure.heal()
        self.assertLess(status(self.side, "VmHWM") - before, 4 * 1024)  # kB: two answers of 1 MiB

    def test_no_file_descriptor_is_left_behind(self):
        def count():
            return len(os.listdir(f"/proc/{self.side.child.pid}/fd"))

        self.meets("vault", {n: EVERYWHERE[n] for n in ("64 MiB", "truncated", "deep")})
        before = count()
        self.meets("vault", {n: EVERYWHERE[n] for n in ("64 MiB", "truncated", "deep")})
        self.assertEqual(count(), before)


if __name__ == "__main__":
    unittest.main()
