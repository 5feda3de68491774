"""Nobody but the job's own processes gets anything, by whatever way they reach a socket; each attempt is in the log."""

import unittest

import unit_client
from broker import UNKNOWN, Case, audit, config, secret
from job_client import Refused as JobRefused

PYTHON = ["/usr/bin/python3", "-I", "-c"]
ASK = """
import socket, struct, sys
def ask(client, request):
    try:
        client.sendall(struct.pack(">I", len(request)) + request)
        return client.recv(100)
    except (BrokenPipeError, ConnectionResetError):
        return b""
def connect(path, kind=socket.SOCK_STREAM):
    client = socket.socket(socket.AF_UNIX, kind)
    client.settimeout(20)
    client.connect(path)
    return client
GET = b'{"op":"get","name":"a"}'
"""
STRANGER = ASK + "print(ask(connect(sys.argv[1]), GET if sys.argv[2] == 'get' else b'\\x0b'))"
ROOT = ASK + """
client = connect(sys.argv[1], socket.SOCK_SEQPACKET)
try:
    client.send(b'{"op":"hello","jobs":[]}')
    client.send(b'{"op":"resync","serial":1}')
    print(client.recv(100))
except (BrokenPipeError, ConnectionResetError):
    print(b"")
"""
# Its child's child asks over a connection that it inherited, then once more after the word "ended" came.
FAMILY = ASK + """
import os, signal
own, spare = connect(sys.argv[1]), connect(sys.argv[1])
agent = connect(sys.argv[2])
print("own", ask(own, GET), flush=True)
if os.fork() == 0:
    if os.fork() == 0:
        print("inherited", ask(spare, GET), flush=True)
        print("agent", ask(agent, b"\\x0b"), flush=True)
        sys.stdin.readline()
        print("after", ask(own, GET), flush=True)
        try:
            connect(sys.argv[1])
        except OSError as problem:
            print("connect", type(problem).__name__, flush=True)
        os._exit(0)
    os._exit(0)
os.wait()
signal.pause()
"""
IN_USER_NAMESPACE = ["unshare", "-Ur"]
VALUE = "value of the secret"


class Isolation(Case):
    def setUp(self):
        super().setUp()
        self.vault.set("a", VALUE)
        self.side = self.broker(config([secret("a"), secret("u", secret="a", units=["train.service"])]))
        self.job = self.side.grant("17", ["a"])

    def open_to_all(self):
        """As if the modes of files and folders were no barrier: what is left is the broker's own judgement."""
        for path in (self.job.folder, self.side.runtime):
            path.chmod(0o755)
        for path in (self.job.socket, self.job.agent, self.side.runtime / "broker.sock", self.side.runtime / "credential.sock"):
            path.chmod(0o666)

    def runs(self, *argv, uid, before=()):
        done = self.azure.run([*before, *PYTHON, *argv], uid=uid)
        self.assertNotIn(VALUE, done.stdout)
        return done

    def test_modes_keep_another_user_away(self):
        for path, words in ((self.job.socket, "get"), (self.job.agent, "list")):
            self.assertIn("PermissionError", self.runs(STRANGER, path, words, uid=1002).stderr)
        for name in ("broker.sock", "credential.sock"):
            self.assertIn("PermissionError", self.runs(ROOT, self.side.runtime / name, uid=1002).stderr)

    def test_another_user_who_gets_through_gets_nothing(self):
        self.open_to_all()
        for uid, before in ((1002, ()), (0, ()), (1002, IN_USER_NAMESPACE), (65534, ())):
            for path, name, words in ((self.job.socket, "credential.sock", "get"), (self.job.agent, "ssh-agent.sock", "list")):
                with self.subTest(uid=uid, socket=name, before=before):
                    known = len(audit(self.side, "credential.refused", job="17", socket=name, uid=uid))
                    self.assertEqual(self.runs(STRANGER, path, words, uid=uid, before=before).stdout, "b''\n")
                    lines = audit(self.side, "credential.refused", job="17", socket=name, uid=uid)
                    self.assertEqual(len(lines), known + 1, self.side.log())
        self.assertEqual(self.job.client().get("a"), VALUE.encode())

    def test_only_root_of_the_machine_is_root(self):
        self.open_to_all()
        for uid, before in ((1002, ()), (1002, IN_USER_NAMESPACE), (1001, IN_USER_NAMESPACE)):
            known = len(audit(self.side, "root-link.refused", uid=uid))
            self.assertEqual(self.runs(ROOT, self.side.runtime / "broker.sock", uid=uid, before=before).stdout, "b''\n")
            self.assertEqual(len(audit(self.side, "root-link.refused", uid=uid)), known + 1)
        self.side.resync()  # the channel of root was not taken over

    def test_only_systemd_loads_a_credential(self):
        self.open_to_all()
        path = self.side.runtime / "credential.sock"
        bind = ASK + "c = socket.socket(socket.AF_UNIX); c.bind('\\0ab/unit/train.service/u'); c.connect(sys.argv[1]); print(c.recv(100))"
        for uid, before in ((1002, ()), (1001, IN_USER_NAMESPACE)):
            self.assertEqual(self.runs(bind, path, uid=uid, before=before).stdout, "b''\n")
            self.assertTrue(audit(self.side, "unit.refused", unit="train.service", credential="u", uid=uid, code="E0004"))
        self.assertEqual(unit_client.load(path, "train.service", "u"), VALUE.encode())
        for unit, name, code in (("other.service", "u", "E0091"), ("train.service", "a", "E0091"), ("train.service", "none", "E0090")):
            self.assertEqual(unit_client.load(path, unit, name), b"")
            self.assertTrue(audit(self.side, "unit.refused", unit=unit, credential=name, code=code))
        for address in ("\0ab/unit/train.service/../u", "\0ab/unit//u", "\0xyz/unit/train.service/u", "\0ab/unit/train.service/u/x", "\0ab"):
            self.assertEqual(unit_client.load(path, "", "", address=address), b"")
        self.assertEqual(len(audit(self.side, "unit.refused", code="E0005")), 5)

    def test_an_inherited_connection_serves_nobody_else(self):
        family = self.azure.spawn([*PYTHON, FAMILY, self.job.socket, self.job.agent], uid=1001, stdin=-1, stdout=-1, text=True)
        self.addCleanup(family.stdout.close)
        self.addCleanup(family.stdin.close)
        line = family.stdout.readline
        self.assertIn(VALUE, line())
        self.assertEqual((line(), line()), ("inherited b''\n", "agent b''\n"))
        lines = audit(self.side, "credential.refused", job="17", uid=1001)
        self.assertEqual((len(lines), [f"pid={family.pid} " in text for text in lines]), (2, [False, False]), lines)
        self.assertTrue(all('program="python3' in text for text in lines), lines)
        self.side.request({"op": "revoke", "job": "17"})
        family.stdin.write("ended\n")
        family.stdin.flush()
        self.assertEqual((line(), line()), ("after b''\n", "connect ConnectionRefusedError\n"))

    def test_a_job_gets_what_it_was_granted_and_no_more(self):
        other = self.side.grant("18", ["a"], uid=1002, user="bob")
        with self.assertRaises(JobRefused) as refused:
            self.job.client().get("u")
        self.assertIn(f"E{UNKNOWN:04}", str(refused.exception))
        self.assertTrue(audit(self.side, "credential.asked", job="17", asked="u", uid=1001, code=f"E{UNKNOWN:04}"))
        self.assertEqual(other.client().get("a"), VALUE.encode())
        self.assertTrue(audit(self.side, "credential.asked", job="18", credential="a", uid=1002, code=""))


if __name__ == "__main__":
    unittest.main()
