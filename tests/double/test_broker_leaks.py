"""Planted secrets leave no trace: not in logs, arguments or cores, and not in the broker's memory when their job is over."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import faults
import unit_client
from broker import Case, config, secret
from job_client import as_user, connect, exchange
from job_client import Refused as JobRefused
from traces import Traces, forms

UNIT = "train.service"
PLANTED = {
    "file": 'planted/of+the "file" \u00e4 0123456789',
    "other": 'planted/of+the "other" \u00f6 9876543210',
    "password": 'planted/pass+word "of" the registry \u00fc 5555',
    "client secret": 'planted/client+secret "of" the application \u00df 7777',
}


@contextlib.contextmanager
def stopped(pid):
    """It stands still meanwhile, so that nothing moves away from under who looks."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Leaks(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "c", "-f", cls.folder / "key"], check=True)

        shutil.copy(cls.folder / "key", cls.folder / "pem")
        subprocess.run(["ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "", "-P", "", "-f", cls.folder / "pem"], check=True, stdout=subprocess.DEVNULL)
        shown = subprocess.run(["openssl", "rsa", "-in", cls.folder / "pem", "-noout", "-text"], check=True, capture_output=True, text=True).stdout
        # As a number lies in memory: the lowest byte first.
        cls.prime = bytes.fromhex(re.search(r"prime1:([0-9a-f:\s]+)", shown)[1].replace(":", "").replace("\n", "").replace(" ", ""))[::-1]

    def setUp(self):
        super().setUp()
        self.planted = {**PLANTED, "key": (self.folder / "key").read_text(), "prime": self.prime.rstrip(b"\0")}
        self.app = self.azure.entra.register()
        self.app.secret(PLANTED["client secret"])
        for name in ("file", "other", "password", "key"):
            self.vault.secrets.pop(name, None)
            self.vault.set(name, self.planted[name])
        identity = {"name": "app", "source": "service-principal", "tenant": self.azure.tenant, "client_id": self.app.client_id, "secret_file": "app"}
        credentials = [
            secret("file", units=[UNIT], users=["alice"]), {**secret("other"), "kind": "storage", "account": "acc", "container": "con", "format": "key"},
            {**secret("password"), "kind": "registry", "registry": "registry.example", "username": "robot"}, {**secret("key"), "kind": "ssh"},
            {"name": "login", "kind": "registry", "registry": self.azure.registry().host, "exchange": True},
        ]  # fmt: skip
        self.side = self.broker(config([{**c, "identity": "app"} for c in credentials], [identity]), {"app": PLANTED["client secret"]}, ["--verbose"])
        self.traces = Traces(self.planted)

    def use_everything(self):
        """A job that has, reads and is refused everything, in every way there is."""
        job = self.side.grant("17", ["file", "other", "password", "key", "login"], files=["file", "other"])
        client = job.client()
        for name in ("file", "other", "password", "login"):
            client.get(name)
        client.docker("registry.example"), client.docker(self.azure.registry().host), client.list()
        for ask in (lambda: client.get("planted"), lambda: client.docker("other.example"), lambda: client.ask({"op": "planted"})):
            with self.assertRaises(JobRefused):
                ask()
        self.assertEqual(unit_client.load(self.side.runtime / "credential.sock", UNIT, "file"), PLANTED["file"].encode())
        listed = as_user(job.uid, lambda: self.once(job.agent, b"\x0b"))
        blob = listed[5:][: 4 + int.from_bytes(listed[5:9])]
        signed = as_user(job.uid, lambda: self.once(job.agent, b"\x0d" + blob + (5).to_bytes(4) + b"hello" + (4).to_bytes(4)))
        self.assertEqual((listed[0], signed[0]), (12, 14))
        return job

    @staticmethod
    def once(path, request):
        with connect(path) as client:
            return exchange(client, request)

    def in_memory(self):
        """The names of what is found, each form of it."""
        with stopped(self.side.child.pid):
            found, size = self.traces.in_process(self.side.child.pid)
        self.assertGreater(size, 1 << 20)
        return found

    def test_all_is_in_memory_while_it_is_granted_and_nothing_after(self):
        self.use_everything()
        login = next(token for token, audience in self.azure.tokens.issued.items() if audience == self.azure.registry().refresh_audience)
        self.traces = Traces({**self.planted, "login": login})
        found = self.in_memory()
        self.assertEqual({name for name, _ in found}, {"file", "other", "password", "key", "prime", "login"})
        self.assertEqual({form for _, form in found}, {"plain"})
        once = {name: sum(n for _, n in places) for (name, _), places in found.items() if name != "prime"}
        self.assertEqual(set(once.values()), {1}, found)
        self.side.revoke("17")
        units = unit_client.load(self.side.runtime / "credential.sock", UNIT, "other")  # refused: not for this unit
        self.assertEqual((units, {n for n, _ in self.in_memory()} - {"file"}), (b"", set()))  # "file" is kept for units for a second
        self.wait_forgotten("file")

    def wait_forgotten(self, name, timeout=10):
        end = time.monotonic() + timeout
        while found := self.in_memory():
            self.assertLess(time.monotonic(), end, found)
            self.assertEqual({n for n, _ in found}, {name})

    def test_an_old_value_is_gone_when_it_was_rotated(self):
        self.side.grant("17", ["file", "other"], files=["file", "other"])
        self.vault.set("file", "another value of the file")
        self.vault.delete("other")
        self.side.resync()
        self.assertEqual(self.in_memory(), {})

    def test_what_was_refused_is_gone_at_once(self):
        for action in (
            faults.wrong_id("https://fabrikam.vault.azure.net/secrets/file"), faults.duplicate_key("value", PLANTED["other"]),
            faults.without("attributes"), faults.wrong_type("attributes", value={"enabled": False}), faults.truncated, faults.reset,
            faults.wrong_type("contentType", value=PLANTED["other"] * 20), faults.wrong_type("attributes", value={"enabled": True, "exp": 1}),
            faults.redirect(f"https://vault.evil.example/{forms(PLANTED['other'])['url'].decode()}"), faults.wrong_type("id", value=PLANTED["other"]),
            faults.status(403, body={"error": {"code": PLANTED["other"], "message": PLANTED["other"]}}),
            faults.raw(json.dumps({"value": PLANTED["other"]})[:-3].encode()),
        ):  # fmt: skip
            self.azure.heal()
            self.azure.fault("vault", action, times=None, path="/secrets/file")
            refused = self.refused(self.side, "17", ["other", "file"], files=["other", "file"], budget_ms=950)
            self.assertEqual(self.traces.in_bytes(refused.what.encode(), "the refusal"), {})
            self.assertEqual(self.in_memory(), {}, refused)
        self.assertEqual(self.traces.in_bytes(self.side.log().encode(), "the log"), {})

    def test_nothing_is_written_or_shown(self):
        self.use_everything()
        process = pathlib.Path(f"/proc/{self.side.child.pid}")
        self.vault.delete("file")
        self.side.resync()
        self.side.revoke("17")
        shown = {name: (process / name).read_bytes() for name in ("environ", "cmdline", "comm", "maps", "mountinfo")}
        shown |= {"log": self.side.log().encode(), "channel": json.dumps(self.side.heard).encode()}
        for name, data in shown.items():
            self.assertEqual(self.traces.in_bytes(data, name), {})
        tokens = Traces({f"token {n}": token for n, token in enumerate(self.azure.tokens.issued)})
        self.assertGreaterEqual(len(self.azure.tokens.issued), 2)
        for name, data in shown.items():
            self.assertEqual(tokens.in_bytes(data, name), {})

    def test_it_leaves_no_core(self):
        self.use_everything()
        pid, here = self.side.child.pid, set(pathlib.Path("/").glob("core*")) | set(pathlib.Path.cwd().glob("core*"))
        self.assertEqual(int(pathlib.Path(f"/proc/{pid}/coredump_filter").read_text(), 16), 0)
        if shutil.which("gcore"):  # as root, which may
            subprocess.run(["gcore", "-o", self.folder / "core", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            core = (self.folder / f"core.{pid}").read_bytes()
            self.assertEqual(core[:4], b"\x7fELF")
            self.assertEqual(self.traces.in_bytes(core, "the core"), {})
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0)  # not dumpable: it is root's
        os.kill(pid, signal.SIGSEGV)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual((ended.si_code, ended.si_status), (os.CLD_KILLED, signal.SIGSEGV))  # not CLD_DUMPED
        self.assertEqual(set(pathlib.Path("/").glob("core*")) | set(pathlib.Path.cwd().glob("core*")), here)

    def test_a_trace_would_be_found(self):
        for name, value in self.planted.items():
            for form, data in forms(value).items():
                found = self.traces.in_bytes(b"before" + data + b"after", "here")
                self.assertIn((name, form), found)


if __name__ == "__main__":
    unittest.main()
