"""Refusals of the services keep their meaning, transient ones pass by themselves, and nobody is sent elsewhere."""

import unittest

import faults
from broker import DENIED, DISABLED, IDENTITY, MALFORMED, MISSING, THROTTLED, UNREACHABLE, UNTRUSTED, VAULT_DENIED, Case, config, secret
from key_vault import INNER

SHORT = 950  # ms: less than the first wait before a repetition
VALUES = {"a": "value a", "b": "value b"}
EVIL = "https://vault.evil.example"


def inner(code):
    return {"error": {"code": "Forbidden", "message": "disabled, not found, deleted", "innererror": {"code": code}}}


def outer(code):
    return {"error": {"code": code, "message": "disabled, not found, deleted"}}


class Statuses(Case):
    def setUp(self):
        super().setUp()
        for name, value in VALUES.items():
            self.vault.set(name, value)
        self.side = self.broker(config([secret("a"), secret("b")]))

    def refuses(self, code, service, action, path="", **how):
        """A fault met by every request; returns the requests to that service."""
        self.azure.heal()
        self.side.resync()  # no token is kept
        self.azure.records.clear()
        self.azure.fault(service, action, times=None, path=path)
        refused = self.refused(self.side, "17", ["a", "b"], **how)
        self.assertEqual(refused.code, code, refused)
        self.azure.heal()
        asked = self.azure.records.of(service, path)
        self.works(self.side, VALUES)
        return asked

    def test_the_inner_code_of_a_403_decides(self):
        for code in INNER:
            with self.subTest(code):
                expected = DISABLED if code == "SecretDisabled" else VAULT_DENIED
                self.assertEqual(len(self.refuses(expected, "vault", faults.status(403, body=inner(code)), "/secrets/b")), 1)
                self.vault.forbid("b", code)
                self.addCleanup(self.vault.forbid, "b", None)
                self.assertEqual(self.refused(self.side, "17", ["a", "b"]).code, expected)
                self.vault.forbid("b", None)
        self.refuses(VAULT_DENIED, "vault", faults.status(403, body=inner("SomethingNew")), "/secrets/b")
        self.refuses(VAULT_DENIED, "vault", faults.html(403), "/secrets/b")

    def test_what_is_not_there(self):
        for status, code in ((404, "SecretNotFound"), (409, "ObjectIsBeingDeleted"), (409, "ObjectIsDeletedButRecoverable")):
            self.assertEqual(len(self.refuses(MISSING, "vault", faults.status(status, body=outer(code)), "/secrets/b")), 1)
        self.refuses(MALFORMED, "vault", faults.html(404), "/secrets/b")  # a gateway's page is not the vault's word

    def test_a_vault_that_cannot_now(self):
        for status in (500, 502, 503, 504):
            self.refuses(UNREACHABLE, "vault", faults.html(status), budget_ms=SHORT)
        self.refuses(THROTTLED, "vault", faults.status(429), budget_ms=SHORT)
        self.refuses(THROTTLED, "vault", faults.status(429, retry_after=3600))  # longer than there is time

    def test_identity_endpoint_that_cannot_now(self):
        codes = {404: UNREACHABLE, 410: UNREACHABLE, 429: THROTTLED, 500: UNREACHABLE, 503: UNREACHABLE, 400: IDENTITY, 403: IDENTITY}
        for status, code in codes.items():
            with self.subTest(status):
                self.refuses(code, "imds", faults.status(status), budget_ms=SHORT)
        self.refuses(IDENTITY, "imds", faults.empty(400))
        self.refuses(IDENTITY, "imds", faults.status(400, body={"error": {"code": "x", "message": "y"}}))
        self.assertEqual(self.azure.records.of("elsewhere"), [])

    def test_what_passes_is_waited_for(self):
        """Once more, and not at once: a second is the least that the services ask for."""
        for service, status, path, how in (
            ("vault", 429, "/secrets/a", {}), ("vault", 503, "/secrets/a", {}), ("imds", 410, "", {"retry_after": 1}), ("imds", 429, "", {"retry_after": 1}),
        ):  # fmt: skip
            with self.subTest(f"{service} {status}"):
                self.side.resync()
                self.azure.records.clear()
                planned = self.azure.fault(service, faults.status(status, **how), path=path)
                self.works(self.side, VALUES)
                self.assertEqual(planned.used, 1)
                self.assertGreater(min(self.azure.records.gaps(service, path)), 0.9)

    def test_a_token_that_is_not_taken_is_replaced_once(self):
        self.works(self.side, VALUES)
        self.azure.tokens.revoke_all()
        self.azure.records.clear()
        self.works(self.side, VALUES)
        self.assertEqual(len(self.azure.records.of("imds")), 1)
        tokens = len(self.refuses(VAULT_DENIED, "vault", faults.status(401), "/secrets/b"))
        self.assertEqual(tokens, 2)

    def test_redirects_are_not_followed(self):
        for service in ("vault", "imds"):
            for code in (301, 302, 303, 307, 308):
                with self.subTest(f"{service} {code}"):
                    for to in (f"{EVIL}/secrets/b", f"http://{self.vault.host}/secrets/b", "/secrets/a", "http://168.63.129.16/"):
                        path = "/secrets/b" if service == "vault" else ""
                        self.assertEqual(len(self.refuses(UNTRUSTED, service, faults.redirect(to, code), path)), 1)

    def test_a_challenge_is_not_followed(self):
        login, tenant = f"https://{self.azure.login}", self.azure.tenant
        for header in (
            f'Bearer authorization="https://vault.evil.example/{tenant}", resource="https://vault.azure.net"',
            f'Bearer authorization="{login}/{tenant}", resource="{EVIL}"',
            f'Bearer authorization="{login}/{tenant}", resource="https://evilvault.azure.net"',
            f'Bearer authorization="{login}/{tenant}", scope="https://management.azure.com/.default"',
            [f'Bearer realm="{EVIL}"', 'PoP nonce="a,b", resource="https://vault.evil.example"'],
            'Bearer error="insufficient_claims", claims="e30="', "Bearer", "", '"', 'Bearer a="unended', "Bearer " + "a=b," * 3000,
        ):  # fmt: skip
            with self.subTest(header):
                requests = self.refuses(VAULT_DENIED, "vault", faults.challenge(header), "/secrets/b")
                self.assertEqual(len(requests), 2)
                asked = {dict(r.query).get("resource") for r in self.azure.records.of("imds")}
                self.assertEqual((asked, self.azure.records.of("entra")), ({self.azure.resource}, []))


class Configured(Case):
    def test_a_vault_of_another_domain_is_never_asked(self):
        """The dot belongs to the boundary; a name with more labels is another's."""
        for number, host in enumerate(("contoso.evilvault.azure.net", "vault.evil.example", "vault.azure.net", "a.contoso.vault.azure.net")):
            with self.subTest(host):
                side = self.broker(config([secret("a", vault=f"https://{host}")]))
                self.assertEqual(self.refused(side, f"{number}", ["a"]).code, UNTRUSTED)
                self.assertEqual(self.azure.records.of(), [])

    def test_only_who_may_have_it_makes_the_broker_ask(self):
        side = self.broker(config([secret("a", users=["bob"])]))
        self.assertEqual(self.refused(side, "17", ["a"], user="alice", groups=["bob"]).code, DENIED)
        self.assertEqual(self.azure.records.of(), [])


if __name__ == "__main__":
    unittest.main()
