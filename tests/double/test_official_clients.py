"""The vendor's own JavaScript clients use the double at the real names: what they refuse is not tested against."""

import tempfile
import unittest

import faults
from azure import Azure
from official import call, packages
from tokens import VAULT

SYSTEM = {"kind": "managed"}


class Official(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        packages()
        cls.azure = cls.enterClassContext(Azure())
        vault = cls.azure.vault()
        cls.url = f"https://{vault.host}"
        cls.secret = vault.set("storage-key", "first value", content_type="text/plain", tags={"team": "a"})

    def setUp(self):
        self.addCleanup(self.azure.heal)
        self.azure.records.clear()

    def get(self, credential, name="storage-key", **how):
        return call(self.azure, credential, {"op": "get", "vault": self.url, "name": name}, **how)[0]

    def assert_value(self, result, value="first value"):
        self.assertEqual(result.get("ok", {}).get("value"), value, result)

    def assert_no_strays(self):
        self.assertEqual(self.azure.strays(), [])


class Credentials(Official):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.azure.entra.register()
        cls.principal = {"tenant": cls.azure.tenant, "client": cls.app.client_id}
        cls.worker = cls.azure.identities.assign("worker")

    def test_the_machines_own_identity(self):
        result = self.get(SYSTEM)
        self.assert_value(result)
        self.assertEqual(result["ok"]["version"], self.secret.version)
        self.assertEqual((result["ok"]["contentType"], result["ok"]["tags"]), ("text/plain", {"team": "a"}))
        self.assertEqual([r.status for r in self.azure.records.of("vault")], [401, 200])  # it probes without a token first
        token = self.azure.records.of("imds")[-1]
        self.assertEqual((token.path.rstrip("/"), dict(token.query)["resource"]), ("/metadata/identity/oauth2/token", VAULT))
        self.assert_no_strays()

    def test_a_user_assigned_identity_by_each_of_its_ids(self):
        for name, value in (("clientId", self.worker.client_id), ("objectId", self.worker.object_id), ("resourceId", self.worker.resource_id)):
            with self.subTest(name):
                result = call(self.azure, {**SYSTEM, name: value}, {"op": "token", "scope": f"{VAULT}/.default"})[0]
                self.assertEqual(result["ok"]["claims"]["appid"], self.worker.client_id)
                self.assertGreater(result["ok"]["seconds"], 80000)

    def test_an_unknown_identity_is_refused(self):
        result = self.get({**SYSTEM, "clientId": "00000000-0000-0000-0000-000000000001"})
        self.assertIn("Identity not found", result["error"]["message"])

    def test_a_client_secret(self):
        good = self.app.secret("right")
        self.assert_value(self.get({"kind": "secret", **self.principal, "secret": good}))
        refused = self.get({"kind": "secret", **self.principal, "secret": "wrong"})["error"]
        self.assertIn("AADSTS7000215", refused["message"])
        expired = self.get({"kind": "secret", **self.principal, "secret": self.app.secret("old", -1)})["error"]
        self.assertIn("AADSTS7000222", expired["message"])
        unknown = self.get({"kind": "secret", **self.principal, "client": "00000000-0000-0000-0000-000000000001", "secret": good})["error"]
        self.assertIn("AADSTS700016", unknown["message"])
        self.assert_no_strays()

    def test_a_client_certificate(self):
        _, certificate, both = self.azure.certificates.client("principal")
        self.app.certificates.append(certificate)
        self.assert_value(self.get({"kind": "certificate", **self.principal, "file": str(both)}))
        self.assertEqual(self.app.algorithms, ["PS256"])
        other = self.azure.certificates.client("stranger")[2]
        self.assertIn("AADSTS700027", self.get({"kind": "certificate", **self.principal, "file": str(other)})["error"]["message"])

    def test_a_federated_workload_identity(self):
        self.app.subjects.append("system:serviceaccount:jobs:scratchd")
        with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
            file.write(self.azure.entra.federation.token())
            file.flush()
            self.assert_value(self.get({"kind": "workload", **self.principal, "file": file.name}))
        with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
            file.write(self.azure.entra.federation.token("system:serviceaccount:jobs:other"))
            file.flush()
            self.assertIn("AADSTS70021", self.get({"kind": "workload", **self.principal, "file": file.name})["error"]["message"])

    def test_azure_arc_by_its_file(self):
        env = {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.azure.arc.port}{self.azure.arc.path}", "IMDS_ENDPOINT": f"http://127.0.0.1:{self.azure.arc.port}"}
        self.assert_value(self.get(SYSTEM, env=env))
        self.assertEqual([r.status for r in self.azure.records.of("arc")], [401, 200])
        self.assertEqual(self.azure.records.of("imds"), [])
        self.azure.fault("arc", faults.challenge("Basic realm=/etc/shadow"))
        self.assertIn("error", self.get(SYSTEM, env=env))

    def test_ml_compute_by_its_shared_secret(self):
        ml = self.azure.ml_compute
        env = {"MSI_ENDPOINT": f"http://127.0.0.1:{ml.port}{ml.path}", "MSI_SECRET": ml.secret, "DEFAULT_IDENTITY_CLIENT_ID": self.worker.client_id}
        self.assert_value(self.get(SYSTEM, env=env))
        self.assertEqual(dict(self.azure.records.of("ml-compute")[0].query)["clientid"], self.worker.client_id)
        self.assertIn("error", self.get(SYSTEM, env={**env, "MSI_SECRET": "another"}))


class Secrets(Official):
    def call(self, *steps):
        token = self.azure.tokens.issue(VAULT, "app")
        return call(self.azure, {"kind": "fixed", "token": token}, *({"vault": self.url, **step} for step in steps))

    def test_versions_disabled_missing_deleted_and_out_of_time(self):
        vault = self.azure.vault()
        old, new = vault.set("twice", "old"), vault.set("twice", "new")
        vault.set("off", "x", enabled=False)
        vault.set("past", "stale", expires=1600000000)
        vault.set("future", "early", not_before=4000000000)
        vault.set("gone", "x")
        vault.delete("gone")
        newest, by_version, disabled, missing, past, future, gone, deleted, versions = self.call(
            {"op": "get", "name": "twice"}, {"op": "get", "name": "twice", "version": old.version}, {"op": "get", "name": "off"},
            {"op": "get", "name": "never"}, {"op": "get", "name": "past"}, {"op": "get", "name": "future"}, {"op": "get", "name": "gone"},
            {"op": "deleted", "name": "gone"}, {"op": "versions", "name": "twice"},
        )  # fmt: skip
        self.assert_value(newest, "new")
        self.assert_value(by_version, "old")
        self.assertEqual((disabled["error"]["code"], disabled["error"]["statusCode"]), ("Forbidden", 403))
        self.assertEqual((missing["error"]["code"], missing["error"]["statusCode"]), ("SecretNotFound", 404))
        self.assert_value(past, "stale")  # the service does not enforce its dates
        self.assertEqual(past["ok"]["expires"], 1600000000000)
        self.assertEqual(future["ok"]["notBefore"], 4000000000000)
        self.assertEqual(gone["error"]["code"], "SecretNotFound")
        self.assertEqual(deleted["ok"], {"name": "gone", "recoveryId": f"{self.url}/deletedsecrets/gone"})
        self.assertEqual(sorted(versions["ok"]), sorted([old.version, new.version]))

    def test_a_managed_certificate_in_both_forms(self):
        key, certificate, _ = self.azure.certificates.client("managed")
        self.azure.vault().certificate("tls-pfx", key, certificate)
        self.azure.vault().certificate("tls-pem", key, certificate, "application/x-pem-file")
        pfx, pem = self.call({"op": "get", "name": "tls-pfx"}, {"op": "get", "name": "tls-pem"})
        self.assertEqual((pfx["ok"]["contentType"], pfx["ok"]["managed"]), ("application/x-pkcs12", True))
        self.assertEqual(pfx["ok"]["keyId"], f"{self.url}/keys/tls-pfx/{pfx['ok']['version']}")
        self.assertIn("BEGIN PRIVATE KEY", pem["ok"]["value"])

    def test_the_list_comes_in_pages(self):
        vault = self.azure.vault("fabrikam")
        for number in range(60):
            vault.set(f"name-{number:02}", "x")
        pages = call(self.azure, {"kind": "fixed", "token": self.azure.tokens.issue(VAULT)},
                     {"op": "list", "vault": f"https://{vault.host}", "size": 25})[0]["ok"]  # fmt: skip
        self.assertEqual([len(p) for p in pages], [25, 25, 10])
        self.assertEqual(sum(pages, []), [f"name-{number:02}" for number in range(60)])

    def test_throttled_with_and_without_a_time_to_wait(self):
        self.azure.fault("vault", faults.status(429), path="/secrets/storage-key", skip=1)
        without = self.call({"op": "get", "name": "storage-key"})[0]
        self.assertEqual(without["error"]["statusCode"], 429)  # it gives up at once: the real service sends no Retry-After
        self.azure.records.clear()
        self.azure.fault("vault", faults.status(429, retry_after=1), path="/secrets/storage-key", skip=1)
        self.assert_value(self.call({"op": "get", "name": "storage-key"})[0])
        self.assertGreater(self.azure.records.gaps("vault")[1], 0.9)

    def test_a_token_for_another_audience_and_a_revoked_one(self):
        step = {"op": "get", "vault": self.url, "name": "storage-key"}
        wrong = call(self.azure, {"kind": "fixed", "token": self.azure.tokens.issue("https://management.azure.com")}, step)[0]
        self.assertIn("AKV10022", wrong["error"]["message"])
        token = self.azure.tokens.issue(VAULT)
        self.azure.tokens.revoke_all()
        self.assertIn("TokenExpired", call(self.azure, {"kind": "fixed", "token": token}, step)[0]["error"]["message"])

    def test_a_hostile_challenge_gets_no_token(self):
        self.azure.fault("vault", faults.challenge('Bearer authorization="https://login.evil.example/t", resource="https://vault.evil.example"'))
        self.assertIn("error", self.get(SYSTEM))
        self.assertEqual(self.azure.records.of("imds"), [])
        self.assert_no_strays()

    def test_a_server_of_another_authority_is_not_believed(self):
        self.azure.show("vault", "other-ca")
        self.assertIn("error", self.get({"kind": "fixed", "token": self.azure.tokens.issue(VAULT)}, timeout=180))
        self.assertEqual(self.azure.records.of("vault"), [])


if __name__ == "__main__":
    unittest.main()
