"""A registry login without a stored password: the node's identity is exchanged for it, with the registry alone."""

import unittest

import faults
from broker import MALFORMED, THROTTLED, UNREACHABLE, UNTRUSTED, VAULT_DENIED, Case, config, secret
from job_client import Refused as JobRefused
from registry import USER
from tokens import REGISTRY

SHORT = 950  # ms: less than the first wait before a repetition


class Exchange(Case):
    def setUp(self):
        super().setUp()
        self.registry = self.azure.registry()
        self.registry.realm_host, self.registry.allowed = self.registry.host, None
        self.vault.set("a", "value a")
        self.side = self.broker(config([self.login(), secret("a")]))

    def login(self, host=None, **how):
        return {"name": "login", "kind": "registry", "registry": host or self.registry.host, "exchange": True, **how}

    def refuses(self, code, **how):
        refused = self.refused(self.side, "17", ["a", "login"], files=["a"], **how)
        self.assertEqual(refused.code, code, refused)

    def password(self, job):
        login = job.client().docker(self.registry.host)
        self.assertEqual((login["ServerURL"], login["Username"]), (self.registry.host, USER))
        return login["Secret"]

    def test_the_login_is_good_and_nobody_else_saw_the_token(self):
        job = self.side.grant("17", ["a", "login"], files=["a"])
        password = self.password(job)
        self.assertIsNone(self.azure.tokens.wrong(password, [self.registry.refresh_audience]))
        exchange = self.azure.records.of("registry", "/oauth2/exchange")
        self.assertEqual([(r.host, r.audiences) for r in exchange], [(self.registry.host, [REGISTRY])])
        self.assertEqual([r.audiences for r in self.azure.records.of("registry", "/v2/")], [[]])
        self.assertEqual({dict(r.query)["resource"] for r in self.azure.records.of("imds")}, {REGISTRY, self.azure.resource})
        self.assertEqual(self.azure.strays(), [])
        login = ["skopeo", "login", "--authfile", "/var/opt/auth.json", "-u", USER, "-p", password, self.registry.host]
        done = self.azure.run(login)
        self.assertEqual(done.returncode, 0, done.stderr)
        for other in ("registry.evil.example", f"{self.registry.host}:444", f"a.{self.registry.host}", self.registry.host + ".evil.example"):
            with self.assertRaises(JobRefused):
                job.client().docker(other)

    def test_a_realm_elsewhere_gets_no_token(self):
        for realm in ("registry.evil.example", f"{self.registry.host}.evil.example", f"{self.registry.host}:444", f"x@{self.registry.host}", "evilazurecr.io"):
            with self.subTest(realm):
                self.azure.records.clear()
                self.registry.realm_host = realm
                self.refuses(UNTRUSTED)
                self.assertNotIn(REGISTRY, [a for r in self.azure.records.of() for a in r.audiences])
                self.assertNotIn(REGISTRY, [dict(r.query)["resource"] for r in self.azure.records.of("imds")])
        self.azure.fault("registry", faults.challenge(f'Bearer realm="https://{self.registry.host}/oauth2/token",service="other.azurecr.io"'))
        self.registry.realm_host = self.registry.host
        self.refuses(UNTRUSTED)
        self.password(self.side.grant("17", ["login"], files=[]))

    def test_a_registry_of_another_domain_is_never_asked(self):
        for number, host in enumerate(("registry.evil.example", "contoso.evilazurecr.io", "azurecr.io", "a.b.azurecr.io")):
            side = self.broker(config([self.login(host)]))
            self.assertEqual(self.refused(side, f"{number}", ["login"], files=[]).code, UNTRUSTED)
            self.assertEqual(self.azure.records.of(), [])

    def test_what_the_registry_says_keeps_its_meaning(self):
        exchange = "/oauth2/exchange"
        for code, action, path, how in (
            (VAULT_DENIED, faults.status(401), exchange, {}), (VAULT_DENIED, faults.status(403), exchange, {}),
            (THROTTLED, faults.status(429), exchange, {"budget_ms": SHORT}), (UNREACHABLE, faults.html(502), exchange, {"budget_ms": SHORT}),
            (UNTRUSTED, faults.redirect("https://registry.evil.example/oauth2/exchange", 307), exchange, {}),
            (UNTRUSTED, faults.redirect("https://registry.evil.example/v2/"), "/v2/", {}), (MALFORMED, faults.empty(), "/v2/", {}),
            (MALFORMED, faults.challenge("Basic realm=x"), "/v2/", {}), (MALFORMED, faults.empty(), exchange, {}),
            (MALFORMED, faults.deep(), exchange, {}), (MALFORMED, faults.oversized(), exchange, {}),
            (MALFORMED, faults.wrong_type("refresh_token"), exchange, {}), (MALFORMED, faults.duplicate_key("refresh_token", "evil"), exchange, {}),
            (UNREACHABLE, faults.truncated, exchange, {"budget_ms": SHORT}),
        ):  # fmt: skip
            with self.subTest(f"{code} {path}"):
                self.azure.heal()
                self.azure.fault("registry", action, times=None, path=path)
                self.refuses(code, **how)
        self.azure.heal()
        self.registry.allowed = []
        self.refuses(VAULT_DENIED)

    def test_a_token_that_is_not_taken_is_replaced_once(self):
        self.side.grant("17", ["login"], files=[])
        self.side.revoke("17")
        self.azure.tokens.revoke_all()
        self.azure.records.clear()
        self.password(self.side.grant("17", ["login"], files=[]))
        self.assertEqual([r.status for r in self.azure.records.of("registry", "/oauth2/exchange")], [401, 200])

    def test_an_untrusted_registry_hears_nothing(self):
        for kind in ("self-signed", "expired", "wrong-name", "other-ca", "tls1.1"):
            self.azure.show("registry", kind)
            self.refuses(UNTRUSTED)
        self.assertEqual(self.azure.records.of("registry"), [])


if __name__ == "__main__":
    unittest.main()
