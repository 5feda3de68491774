"""What the double makes of a machine, and that nothing of it stays: other clouds, users, a registry's own client, an abrupt end."""

import os
import pathlib
import select
import subprocess
import sys
import tempfile
import unittest

from ask import get, post
from azure import Azure
from registry import USER
from tokens import REGISTRY

HERE = pathlib.Path(__file__).parent
ABRUPT = """
import sys
from azure import Azure
azure = Azure()
child = azure.spawn(["cat"], stdin=-1)
print(azure.namespace.holder.pid, child.pid, flush=True)
sys.stdin.read()
"""


class Inside(unittest.TestCase):
    def test_other_clouds_have_other_names(self):
        for cloud, vault, login in (
            ("china", "contoso.vault.azure.cn", "login.chinacloudapi.cn"), ("us-government", "contoso.vault.usgovcloudapi.net", "login.microsoftonline.us"),
            (("login.example", "vault.example.net", "registry.example"), "contoso.vault.example.net", "login.example"),
        ):  # fmt: skip
            with self.subTest(cloud), Azure(cloud) as azure:
                challenge = get(azure, f"https://{vault}/secrets/s").headers["www-authenticate"]
                self.assertEqual(challenge, f'Bearer authorization="https://{login}/{azure.tenant}", resource="https://{vault.partition(".")[2]}"')
                token = azure.tokens.issue(azure.resource)
                self.assertEqual(get(azure, f"https://{vault}/secrets/s?api-version=7.4", token).status, 404)
                self.assertEqual(azure.strays(), [])

    def test_only_the_tests_authority_is_trusted_and_only_inside(self):
        with Azure() as azure:
            outside = pathlib.Path("/etc/hosts").read_text()
            shown = azure.run(["sh", "-c", "cat /etc/hosts; ls /etc/ssl/certs /var/opt/azcmagent; id -u; id -G"], uid=1001, groups=[7])
            self.assertIn("login.microsoftonline.com", shown.stdout)
            self.assertTrue(shown.stdout.endswith("tokens\n1001\n1001 7\n"), shown.stdout)
            self.assertNotIn("login.microsoftonline.com", outside)
            check = ["openssl", "s_client", "-brief", "-verify_return_error", "-verify_hostname", azure.login, "-connect", f"{azure.login}:443"]
            self.assertIn("Verification: OK", azure.run(check).stderr)

    def test_a_registry_client_logs_in_with_what_the_exchange_gave(self):
        with Azure() as azure, tempfile.TemporaryDirectory() as folder:
            registry = azure.registry()
            form = {"grant_type": "access_token", "service": registry.host, "access_token": azure.tokens.issue(REGISTRY, "app")}
            password = post(azure, f"https://{registry.host}/oauth2/exchange", form).json()["refresh_token"]
            login = ["skopeo", "login", "--authfile", f"{folder}/auth.json", "-u", USER, "-p"]
            done = azure.run([*login, password, registry.host])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotEqual(azure.run([*login, "another", registry.host]).returncode, 0)

    def test_nothing_outlives_the_process_that_made_it(self):
        with tempfile.TemporaryDirectory() as folder:
            maker = subprocess.Popen([sys.executable, "-B", "-c", ABRUPT], cwd=HERE, env={**os.environ, "TMPDIR": folder},
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
            ends = [os.pidfd_open(int(pid)) for pid in maker.stdout.readline().split()]
            maker.kill()
            maker.communicate()
            for end in ends:
                self.assertTrue(select.select([end], [], [], 10)[0])
                os.close(end)

    def test_nothing_is_left_by_an_orderly_end(self):
        with tempfile.TemporaryDirectory() as folder:
            script = ABRUPT.replace("sys.stdin.read()", "azure.close(); print(len(__import__('os').listdir('/proc/self/fd')), __import__('threading').active_count())")
            before = "print(len(__import__('os').listdir('/proc/self/fd')), 1)\n" + script
            done = subprocess.run([sys.executable, "-B", "-c", before.replace("stdin=-1", "stdin=-3")], cwd=HERE, capture_output=True, text=True,
                                  env={**os.environ, "TMPDIR": folder}, stdin=subprocess.DEVNULL)  # fmt: skip
            first, _, last = done.stdout.splitlines()
            self.assertEqual((first, os.listdir(folder)), (last, []), done.stderr)


if __name__ == "__main__":
    unittest.main()
