"""The other clouds, and one of its own: the broker asks their names, for tokens of their audience, and no other's."""

import unittest

from azure import Azure
from broker import UNTRUSTED, config, start
from channel import Refused

OWN = ("login.example.net", "vault.example.net", "registry.example.net")


class Clouds(unittest.TestCase):
    def test_each_has_its_names(self):
        for cloud, table in (
            ("china", {"cloud": "china"}), ("us-government", {"cloud": "us-government"}),
            (OWN, {"login_host": OWN[0], "vault_suffix": OWN[1], "registry_suffix": OWN[2]}),
        ):  # fmt: skip
            with self.subTest(cloud), Azure(cloud) as azure:
                azure.vault().set("s", "value")
                app = azure.entra.register()
                password = app.secret("password of the application")
                identities = [
                    {"name": "machine", "source": "imds"},
                    {"name": "app", "source": "service-principal", "tenant": azure.tenant, "client_id": app.client_id, "secret_file": "app"},
                ]
                credential = {"kind": "secret", "vault": f"https://{azure.vault().host}", "secret": "s"}
                credentials = [
                    {**credential, "name": "a", "identity": "machine"}, {**credential, "name": "b", "identity": "app"},
                    {"name": "login", "kind": "registry", "registry": azure.registry().host, "exchange": True, "identity": "machine"},
                    {**credential, "name": "public", "vault": "https://contoso.vault.azure.net", "identity": "machine"},
                ]  # fmt: skip
                with start(azure, config(credentials, identities, **table), {"app": password}) as side:
                    job = side.grant("17", ["a", "b", "login"], files=["a", "b"])
                    self.assertEqual((job.read("a"), job.read("b")), (b"value", b"value"))
                    self.assertEqual(job.client().docker(azure.registry().host)["ServerURL"], azure.registry().host)
                    self.assertEqual([r.host for r in azure.records.of("entra")], [azure.login])
                    self.assertEqual({a for r in azure.records.of("vault") for a in r.audiences}, {azure.resource})
                    with self.assertRaises(Refused) as refused:
                        side.grant("18", ["public"])
                    self.assertEqual((refused.exception.code, azure.strays()), (UNTRUSTED, []))


if __name__ == "__main__":
    unittest.main()
