"""What a vault may hold and what must not be served of it: other ids, dates, switched-off ones, names, odd values."""

import pathlib
import tempfile
import time
import unittest

import faults
from broker import BIN, DISABLED, EXPIRED, FORMAT, GONE, MALFORMED, MISSING, UNKNOWN, UNTRUSTED, Case, config, secret
from job_client import Refused as JobRefused

HOUR = 3600


class Secrets(Case):
    def setUp(self):
        super().setUp()
        self.vault.secrets.clear()
        self.vault.set("a", "value a")
        self.vault.set("b", "value b")
        self.side = self.broker(config([secret("a"), secret("b")]))

    def refuses(self, code):
        self.assertEqual(self.refused(self.side, "17", ["a", "b"]).code, code)

    def test_the_id_must_be_that_of_the_secret(self):
        version = "0123456789abcdef0123456789abcdef"
        for identifier, code in (
            (f"https://{self.vault.host}/secrets/a/{version}", UNTRUSTED), (f"https://fabrikam.vault.azure.net/secrets/b/{version}", UNTRUSTED),
            (f"https://vault.evil.example/secrets/b/{version}", UNTRUSTED), (f"http://{self.vault.host}/secrets/b/{version}", UNTRUSTED),
            (f"https://{self.vault.host}:444/secrets/b/{version}", UNTRUSTED), (f"https://{self.vault.host}/secrets/../secrets/b/{version}", MALFORMED),
            (f"https://{self.vault.host}/secrets/a/../b/{version}", MALFORMED), (f"https://{self.vault.host}/secrets/b/../a", MALFORMED),
            (f"https://{self.vault.host}/secrets/%62/{version}", MALFORMED), (f"https://x@{self.vault.host}/secrets/b/{version}", MALFORMED),
            (f"https://{self.vault.host}/keys/b/{version}", MALFORMED), (f"https://{self.vault.host}/secrets//{version}", MALFORMED),
            (f"https://{self.vault.host}/secrets/b/latest", MALFORMED), ("", MALFORMED), ("../../etc/shadow", MALFORMED),
        ):  # fmt: skip
            with self.subTest(identifier):
                self.azure.heal()
                self.azure.fault("vault", faults.wrong_id(identifier), times=None, path="/secrets/b")
                self.refuses(code)
        self.azure.heal()
        self.works(self.side, {"a": "value a", "b": "value b"})

    def test_a_version_that_was_asked_for_and_another_that_came(self):
        old, new = self.vault.newest("a"), self.vault.set("a", "newer")
        side = self.broker(config([secret("a", version=old.version)]))
        self.works(side, {"a": "value a"})
        self.azure.fault("vault", faults.wrong_id(f"https://{self.vault.host}/secrets/a/{new.version}"))
        self.assertEqual(self.refused(side, "17", ["a"]).code, UNTRUSTED)

    def test_out_of_its_time_or_switched_off(self):
        now, kept = int(time.time()), self.vault.newest("b")
        for code, change in (
            (EXPIRED, {"expires": now - 1}), (EXPIRED, {"expires": 0}), (EXPIRED, {"not_before": now + HOUR}),
            (EXPIRED, {"not_before": now + HOUR, "expires": now + 2 * HOUR}), (DISABLED, {"enabled": False}),
        ):  # fmt: skip
            with self.subTest(change):
                before = {name: getattr(kept, name) for name in change}
                vars(kept).update(change)
                self.refuses(code)
                vars(kept).update(before)
        # The service itself refuses a disabled one; an answer that says so is not used either.
        attributes = {"enabled": False, "recoveryLevel": "Purgeable"}
        self.azure.fault("vault", faults.rewrite(lambda c: {**c, "attributes": attributes}), path="/secrets/b")
        self.refuses(DISABLED)
        self.vault.newest("b").not_before, self.vault.newest("b").expires = now - 10, now + HOUR
        self.works(self.side, {"a": "value a", "b": "value b"})
        self.vault.delete("b")
        self.refuses(MISSING)

    def test_a_value_that_ends_while_it_is_served(self):
        self.vault.newest("a").expires = int(time.time()) + 2
        job = self.side.grant("17", ["a", "b"])
        self.assertEqual(job.client().get("a"), b"value a")
        self.side.wait(lambda m: m["op"] == "withdraw" and m["name"] == "a")
        with self.assertRaises(JobRefused) as refused:
            job.client().get("a")
        self.assertIn(f"E{GONE:04}", str(refused.exception))
        self.side.request({"op": "revoke", "job": "nobody"})  # the withdrawal was answered before this
        self.assertEqual((job.names(), job.client().get("b")), (["b"], b"value b"))

    def test_large_and_odd_values_come_whole(self):
        values = {"a": "x" * 25_600, "b": "\u0000\r\n\t\"\\\u20ac\U0001f511 " + "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16") + "'"}
        for name, value in values.items():
            self.vault.set(name, value)
        job = self.side.grant("17", ["a", "b"])
        for name, value in values.items():
            self.assertEqual((job.read(name), job.client().get(name)), (value.encode(), value.encode()))

    def test_a_managed_certificate_is_key_and_chain(self):
        key, certificate, _ = self.azure.certificates.client("managed")
        self.vault.certificate("a", key, certificate)
        self.vault.certificate("b", key, certificate, form="application/x-pem-file")
        job = self.side.grant("17", ["a", "b"])
        for name in ("a", "b"):
            self.assertIn("-----BEGIN PRIVATE KEY-----", job.read(name).decode())
            self.assertIn(certificate.read_text(), job.read(name).decode())

    def test_a_managed_certificate_that_is_none(self):
        for value in ("no base64!", "bm8gcGtjczEy"):
            self.vault.set("b", value, content_type="application/x-pkcs12", managed=True)
            self.refuses(FORMAT)


class Names(Case):
    def test_the_configuration_takes_no_path(self):
        file = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "scratchd.toml"
        for name in ("../a", "a/b", "a/../b", "..", ".", "a%2fb", "a?x=y", "a b", "", "a\n", "a" * 128):
            with self.subTest(name):
                file.write_text(config([{**secret("a"), "secret": name}]))
                done = self.azure.run([BIN / "scratchctl", "config", "check", file])
                self.assertEqual(done.returncode, 78, done.stderr)
                self.assertIn("E0012", done.stderr)

    def test_a_job_asks_by_the_name_of_the_configuration(self):
        self.vault.set("a", "value a")
        side = self.broker(config([secret("a")]))
        for name in ("../a", "a/b", "..", "a/0123456789abcdef0123456789abcdef", "A", "a\0", ""):
            with self.subTest(name):
                self.azure.records.clear()
                self.assertEqual(self.refused(side, "17", [name], files=[]).code, UNKNOWN)
                self.assertEqual(self.azure.records.of(), [])
        job = side.grant("17", ["a"])
        for name in ("../a", "a/b", "..", "credentials/a", "A", "a\0"):
            with self.assertRaises(JobRefused) as refused:
                job.client().get(name)
            self.assertIn("E0090", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
