"""The broker proves who it is in every way it knows; each yields the credential, and asks only whom it must ask."""

import unittest
from datetime import datetime, timezone

from broker import IDENTITY, Case, config, secret
from channel import BROKER_UID
from faults import rewrite
from tokens import fingerprint

VALUE = "the value of the secret"


class Identities(Case):
    azure_options = {"reader_gid": BROKER_UID}  # of Arc's proofs

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.vault.set("s", VALUE)
        cls.machine = cls.azure.identities.system
        cls.user, cls.other = (cls.azure.identities.assign(name) for name in ("trainer", "other"))
        cls.app = cls.azure.entra.register()

    def side(self, sources=None, **identity):
        return self.broker(config([secret("s", identity="me")], [{"name": "me", **identity}]), sources)

    def grants(self, side, who, asked):
        """The secret is delivered to who shows the token of `who`, which the service `asked` gave. Returns its requests."""
        job = side.grant("17", ["s"])
        self.assertEqual((job.read("s"), job.client().get("s")), (VALUE.encode(), VALUE.encode()))
        records = self.azure.records
        self.assertEqual({r.service for r in records.of()}, {"vault", asked})
        shown = [r.headers["authorization"] for r in records.of("vault")]
        owners = {fingerprint(f"Bearer {t}"): self.azure.tokens.claims(t)["appid"] for t in self.azure.tokens.issued}
        self.assertEqual([owners[s] for s in shown], [who.client_id])
        self.assertEqual(self.azure.strays(), [])
        return records.of(asked)

    def selectors(self, requests):
        return [[(n, v) for n, v in r.query if n not in ("api-version", "resource")] for r in requests]

    def principal(self, **more):
        return {"source": "service-principal", "tenant": self.azure.tenant, "client_id": self.app.client_id, **more}


class OfTheMachine(Identities):
    def test_its_own(self):
        self.assertEqual(self.selectors(self.grants(self.side(source="imds"), self.machine, "imds")), [[]])

    def test_nothing_said_is_its_own(self):
        self.grants(self.broker(config([secret("s")])), self.machine, "imds")

    def test_assigned_to_it_and_named_in_each_way(self):
        for key, asked in (("client_id", "client_id"), ("object_id", "object_id"), ("resource_id", "msi_res_id")):
            with self.subTest(key):
                self.azure.records.clear()
                value = getattr(self.user, key)
                side = self.side(source="imds", **{key: value})
                self.assertEqual(self.selectors(self.grants(side, self.user, "imds")), [[(asked, value)]])

    def test_one_that_is_not_assigned(self):
        side = self.side(source="imds", client_id="11111111-2222-3333-4444-555555555555")
        self.assertEqual(self.refused(side, "17", ["s"]).code, IDENTITY)
        self.assertEqual(self.azure.records.of("vault"), [])

    def test_another_than_was_asked_for_is_not_taken(self):
        token = self.azure.tokens.issue(self.azure.resource, self.other.client_id)
        self.azure.fault("imds", rewrite(lambda c: {**c, "access_token": token, "client_id": self.other.client_id}))
        side = self.side(source="imds", client_id=self.user.client_id)
        self.assertEqual(self.refused(side, "17", ["s"]).code, IDENTITY)
        self.assertEqual(self.azure.records.of("vault"), [])

    def test_of_an_arc_machine(self):
        requests = self.grants(self.side(source="arc"), self.machine, "arc")
        self.assertEqual([r.status for r in requests], [401, 200])

    def test_of_ml_compute(self):
        identity = {"source": "ml-compute", "endpoint": "http://127.0.0.1:46808/MSI/auth", "secret_file": "msi"}
        side = self.side({"msi": self.azure.ml_compute.secret + "\n"}, client_id=self.user.client_id, **identity)
        self.assertEqual(self.selectors(self.grants(side, self.user, "ml-compute")), [[("clientid", self.user.client_id)]])

    def test_of_ml_compute_with_dates_in_words(self):
        endpoint = self.azure.ml_compute
        self.addCleanup(setattr, endpoint, "expires_on", str)
        endpoint.expires_on = lambda second: datetime.fromtimestamp(second, timezone.utc).isoformat()
        identity = {"source": "ml-compute", "endpoint": "http://127.0.0.1:46808/MSI/auth", "secret_file": "msi"}
        self.grants(self.side({"msi": endpoint.secret}, **identity), self.machine, "ml-compute")


class OfAnApplication(Identities):
    def test_by_a_secret(self):
        password = self.app.secret("pass + word/%")
        self.azure.records.plant("password", password)
        requests = self.grants(self.side({"app": password + "\n"}, **self.principal(secret_file="app")), self.app, "entra")
        self.assertEqual([(r.host, r.method) for r in requests], [(self.azure.login, "POST")])
        self.assertEqual([r.service for r in self.azure.records.of() if r.planted], ["entra"])

    def test_by_a_wrong_secret(self):
        side = self.side({"app": "another"}, **self.principal(secret_file="app"))
        refused = self.refused(side, "17", ["s"])
        self.assertEqual(refused.code, IDENTITY)
        self.assertIn("AADSTS7000215", refused.what)
        self.assertNotIn("another", side.log())

    def test_by_a_certificate(self):
        _, certificate, both = self.azure.certificates.client()
        self.app.certificates.append(certificate)
        for algorithm, expected in (("", "PS256"), ("PS256", "PS256"), ("RS256", "RS256")):
            with self.subTest(algorithm):
                self.azure.records.clear()
                chosen = {"algorithm": algorithm} if algorithm else {}
                self.grants(self.side({"app.pem": both.read_bytes()}, **self.principal(certificate_file="app.pem", **chosen)), self.app, "entra")
                self.assertEqual(self.app.algorithms[-1], expected)

    def test_by_a_certificate_that_is_not_registered(self):
        _, _, both = self.azure.certificates.client("stranger")
        side = self.side({"app.pem": both.read_bytes()}, **self.principal(certificate_file="app.pem"))
        self.assertEqual(self.refused(side, "17", ["s"]).code, IDENTITY)

    def test_by_the_token_of_another_issuer_read_anew_each_time(self):
        self.app.subjects.append("system:serviceaccount:jobs:scratchd")
        side = self.side(**{**self.principal(), "source": "workload-identity", "token_file": "/var/opt/token"})
        token = open(f"{self.azure.namespace.root}/var/opt/token", "w")
        self.addCleanup(token.close)

        def put(text):
            token.seek(0), token.truncate(), token.write(text), token.flush()

        put(self.azure.entra.federation.token(subject="system:serviceaccount:jobs:other"))
        self.assertIn("AADSTS70021", self.refused(side, "17", ["s"]).what)
        put(self.azure.entra.federation.token())
        self.azure.records.clear()
        self.grants(side, self.app, "entra")


if __name__ == "__main__":
    unittest.main()
