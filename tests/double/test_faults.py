"""Each fault of the double does what its name says, is over after as many requests as it was asked for, and is recorded."""

import http.client
import json
import socket
import ssl
import threading
import time
import unittest
import warnings

import faults
from ask import Client, get
from azure import Azure
from tokens import VAULT

TOKEN_URL = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net"


class Faulty(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.azure = cls.enterClassContext(Azure())
        cls.vault = cls.azure.vault()
        cls.vault.set("s", "value of the secret")
        cls.url = f"https://{cls.vault.host}/secrets/s?api-version=7.4"
        cls.token = cls.azure.tokens.issue(VAULT)

    def setUp(self):
        self.addCleanup(self.azure.heal)
        self.azure.records.clear()

    def get(self, **how):
        return get(self.azure, self.url, self.token, **how)

    def assert_well(self):
        self.assertEqual(self.get().json()["value"], "value of the secret")


class Responses(Faulty):
    def test_a_status_for_so_many_requests_of_a_route(self):
        planned = self.azure.fault("vault", faults.status(429), times=2, path="/secrets/s")
        other = f"https://{self.vault.host}/secrets?api-version=7.4"
        self.assertEqual(get(self.azure, other, self.token).status, 200)
        replies = [self.get() for _ in range(3)]
        self.assertEqual([r.status for r in replies], [429, 429, 200])
        self.assertNotIn("retry-after", replies[0].headers)
        self.assertEqual(replies[0].json()["error"]["code"], "Throttled")
        self.assertEqual((len(replies[0].body), planned.used), (146, 2))
        self.azure.fault("vault", faults.status(503, retry_after=2, headers={"retry-after-ms": "1500"}))
        reply = self.get()
        self.assertEqual((reply.headers["retry-after"], reply.headers["retry-after-ms"]), ("2", "1500"))

    def test_every_service_has_words_for_a_status(self):
        for service, url in (
            ("imds", TOKEN_URL), ("entra", f"https://{self.azure.login}/common/oauth2/v2.0/token"), ("wire-server", "http://168.63.129.16/?comp=versions"),
            ("registry", f"https://{self.azure.registry().host}/v2/"), ("arc", "http://127.0.0.1:40342/metadata/identity/oauth2/token"),
            ("ml-compute", "http://127.0.0.1:46808/MSI/auth"),
        ):  # fmt: skip
            for code in (410, 429, 500):
                self.azure.fault(service, faults.status(code))
                self.assertEqual(get(self.azure, url).status, code, service)

    def test_bodies(self):
        plans = {
            "empty": (faults.empty(), lambda r: r.body == b""),
            "html": (faults.html(502), lambda r: r.status == 502 and r.body.startswith(b"<html>")),
            "redirect": (faults.redirect("https://vault.evil.example/x"), lambda r: r.status == 302 and r.headers["location"].endswith("example/x")),
            "challenge": (faults.challenge(["Bearer a", "PoP b"]), lambda r: r.status == 401 and r.headers["www-authenticate"] == "PoP b"),
            "type": (faults.wrong_type("value"), lambda r: r.json()["value"] == 17),
            "without": (faults.without("value"), lambda r: "value" not in r.json() and "id" in r.json()),
            "id": (faults.wrong_id("https://x/secrets/y/z"), lambda r: r.json()["id"] == "https://x/secrets/y/z"),
            "twice": (faults.duplicate_key("value", "evil"), lambda r: r.body.startswith(b'{"value":"evil","value":"value of')),
            "deep": (faults.deep(), lambda r: r.body == b'{"value":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
            "raw": (faults.raw(b"\xff\xfe"), lambda r: r.body == b"\xff\xfe"),
        }
        for name, (action, expected) in plans.items():
            with self.subTest(name):
                self.azure.fault("vault", action)
                self.assertTrue(expected(self.get()))
                self.assert_well()

    def test_64_mib_with_and_without_a_length(self):
        for declared in (True, False):
            self.azure.fault("vault", faults.oversized(declared=declared))
            reply = self.get()
            self.assertEqual((len(reply.body), "content-length" in reply.headers), (64 << 20, declared))

    def test_a_body_without_end_lasts_until_the_client_goes(self):
        self.azure.fault("vault", faults.endless)
        with Client(self.azure, self.url) as client:
            client.socket.sendall(b"GET /secrets/s HTTP/1.1\r\nHost: x\r\n\r\n")
            received = 0
            while received < 1 << 20:
                received += len(client.socket.recv(65536))
        self.azure.records.wait(1, "vault", ended=True)

    def test_headers_without_measure(self):
        self.azure.fault("vault", faults.many_headers())
        with Client(self.azure, self.url) as client, self.assertRaises(http.client.HTTPException):
            client.ask("GET", "/secrets/s?api-version=7.4", {"Authorization": f"Bearer {self.token}"})

    def test_cut_short_and_reset(self):
        self.azure.fault("vault", faults.truncated)
        with self.assertRaises(http.client.IncompleteRead):
            self.get()
        self.azure.fault("vault", faults.reset)
        with self.assertRaises((ConnectionResetError, http.client.IncompleteRead)):  # Python's TLS tells no reset from an end
            self.get()
        self.azure.fault("imds", faults.reset)
        with self.assertRaises(ConnectionResetError):
            get(self.azure, TOKEN_URL, headers={"Metadata": "true"})
        self.assert_well()


class Waits(Faulty):
    def test_a_drip_takes_its_time(self):
        self.azure.fault("vault", faults.drip(interval=0.01, size=50))
        started = time.monotonic()
        self.assertEqual(self.get().status, 200)
        self.assertGreater(time.monotonic() - started, 0.15)

    def test_a_hang_ends_with_the_client(self):
        self.azure.fault("vault", faults.hang)
        with self.assertRaises(TimeoutError):
            self.get(timeout=0.3)
        self.assertEqual(self.azure.records.wait(1, "vault", ended=True)[0].status, 0)
        self.assert_well()

    def test_requests_held_together_are_counted_together(self):
        event = threading.Event()
        self.azure.fault("vault", faults.late(event), times=None)
        threads = [threading.Thread(target=self.get) for _ in range(8)]
        for thread in threads:
            thread.start()
        self.azure.records.wait(8, "vault")
        event.set()
        for thread in threads:
            thread.join()
        self.assertEqual(self.azure.records.most_in_flight("vault"), 8)

    def test_refused_and_accepted_again(self):
        self.azure.refuse(self.vault.host)
        with self.assertRaises(ConnectionRefusedError):
            self.get()
        self.azure.accept(self.vault.host)
        self.assert_well()
        self.azure.refuse("imds")
        with self.assertRaises(ConnectionRefusedError):
            get(self.azure, TOKEN_URL)

    def test_names_that_are_never_answered(self):
        look = ["python3", "-c", f"import socket; print(socket.gethostbyname('{self.vault.host}'))"]
        self.assertEqual(self.azure.run(look).stdout.strip(), self.azure.namespace.hosts[self.vault.host])
        self.assertNotEqual(self.azure.run(["getent", "hosts", "elsewhere.example"], timeout=5).returncode, 0)  # refused at once
        self.azure.namespace.silence_names()
        child = self.azure.spawn(look)
        self.assertIn(self.vault.host.split(".")[0].encode(), self.azure.namespace.black_hole.recv(512))
        self.assertIsNone(child.poll())
        child.kill()
        self.azure.heal()
        self.assertEqual(self.azure.run(look).stdout.strip(), self.azure.namespace.hosts[self.vault.host])


class Tls(Faulty):
    def test_who_is_not_the_server_is_not_believed(self):
        for kind, words in (
            ("self-signed", "self-signed certificate"), ("expired", "expired"), ("not-yet-valid", "not yet valid"), ("wrong-name", "Hostname mismatch"),
            ("other-ca", "unable to get local issuer"),
        ):  # fmt: skip
            with self.subTest(kind):
                self.azure.show("vault", kind)
                with self.assertRaisesRegex(ssl.SSLCertVerificationError, words):
                    self.get()
        self.assertEqual(self.azure.records.of("vault"), [])
        self.assertEqual({host for host, _ in self.azure.records.broken}, {self.vault.host})
        self.azure.heal()
        self.assert_well()

    def test_an_old_protocol(self):
        self.azure.show(self.vault.host, "tls1.1")
        with self.assertRaises(ssl.SSLError):
            self.get()
        old = ssl.create_default_context(cafile=self.azure.certificates.ca)
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.minimum_version = ssl.TLSVersion.TLSv1
        with Client(self.azure, self.url, context=old) as client:
            self.assertEqual(client.socket.version(), "TLSv1.1")


class RecordsOfRequests(Faulty):
    def test_what_is_kept_of_a_request(self):
        self.azure.records.plant("password", "pa ss/word")
        with Client(self.azure, self.url) as client:
            for _ in range(2):
                client.ask("GET", "/secrets/s?api-version=7.4&x=pa%20ss%2Fword", {"Authorization": f"Bearer {self.token}"})
        first, second = self.azure.records.wait(2, "vault", ended=True)
        self.assertEqual((first.method, first.path, first.host, first.host_header, first.status), ("GET", "/secrets/s", self.vault.host, self.vault.host, 200))
        self.assertEqual((first.audiences, first.planted, first.in_flight), ([VAULT], ["password"], 1))
        self.assertEqual(first.connection, second.connection)
        self.assertNotIn(self.token, json.dumps(first.headers))
        self.assertEqual(self.azure.records.connections, {self.vault.host: 1})
        self.assertEqual(len(self.azure.records.gaps("vault")), 1)

    def test_a_token_that_went_astray_is_found(self):
        self.assert_well()
        self.assertEqual(self.azure.strays(), [])
        for url in ("https://vault.evil.example/secrets/s", f"https://{self.azure.registry().host}/v2/", "http://168.63.129.16:32526/vmSettings"):
            self.assertIn(get(self.azure, url, self.token).status, (401, 404))
        self.assertEqual([r.host for r in self.azure.strays()], ["vault.evil.example", self.azure.registry().host, "168.63.129.16"])

    def test_what_is_no_request_gets_a_400(self):
        for words in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET /" + b"a" * 70000):
            with self.azure.namespace.connect("169.254.169.254", 80) as client:
                client.sendall(words)
                client.shutdown(socket.SHUT_WR)
                self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 400 "))


if __name__ == "__main__":
    unittest.main()
