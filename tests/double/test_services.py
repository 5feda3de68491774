"""The services that credentials are for let in who has one, and nobody else."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from services import Blobs, Registry, Ssh

PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def run(*argv, env=None):
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env={**PLAIN, **(env or {})})


def image(folder):
    """An image of one small layer, as `skopeo copy` takes it."""
    layout = pathlib.Path(folder) / "image"
    (layout / "content").mkdir(parents=True)
    (layout / "content/hello").write_text("hello")
    subprocess.run(["tar", "-C", layout / "content", "-cf", layout / "layer.tar", "hello"], check=True)
    digest = subprocess.run(["sha256sum", layout / "layer.tar"], capture_output=True, text=True, check=True).stdout.split()[0]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}
    (layout / "config.json").write_text(json.dumps(config))
    (layout / "manifest.json").write_text(json.dumps([{"Config": "config.json", "RepoTags": ["hello:1"], "Layers": ["layer.tar"]}]))
    subprocess.run(["tar", "-C", layout, "-cf", layout / "image.tar", "config.json", "manifest.json", "layer.tar"], check=True)
    return f"docker-archive:{layout}/image.tar"


class Services(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="scratchd-services-"))

    def assert_ok(self, outcome):
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return outcome

    def test_a_registry_takes_and_gives_an_image(self):
        registry = self.enterContext(Registry())
        login = f"{registry.user}:{registry.password}"
        name = f"docker://{registry.name}/tools/hello:1"
        env = {"HOME": self.folder}
        refused = run("skopeo", "inspect", "--cert-dir", registry.certs, name, env=env)
        self.assertIn("authentication required", refused.stderr)
        policy = ["--insecure-policy"]
        self.assert_ok(run("skopeo", *policy, "copy", "-q", "--dest-creds", login, "--dest-cert-dir", registry.certs, image(self.folder), name, env=env))
        shown = self.assert_ok(run("skopeo", "inspect", "--creds", login, "--cert-dir", registry.certs, name, env=env))
        self.assertEqual(json.loads(shown.stdout)["RepoTags"], ["1"])
        self.assert_ok(run("skopeo", *policy, "copy", "-q", "--src-creds", login, "--src-cert-dir", registry.certs, name, f"dir:{self.folder}/got", env=env))
        self.assertNotEqual(run("skopeo", "inspect", "--creds", "puller:wrong", "--cert-dir", registry.certs, name, env=env).returncode, 0)

    def test_blobs_are_read_with_a_signature_that_allows_it(self):
        blobs = self.enterContext(Blobs())
        blobs.put("data")
        blobs.put("data", "hello.txt", b"hello")
        config = pathlib.Path(self.folder) / "rclone.conf"

        def rclone(url, *argv):
            config.write_text(f"[blobs]\ntype = azureblob\nsas_url = {url}\n")
            how = ["--config", config, "--ca-cert", blobs.ca, "--retries", "1", "--low-level-retries", "1", "--timeout", "10s"]
            return run("rclone", *how, *argv, env={"HOME": self.folder})

        self.assertEqual(self.assert_ok(rclone(blobs.url("data"), "cat", "blobs:data/hello.txt")).stdout, "hello")
        self.assertEqual(self.assert_ok(rclone(blobs.url("data"), "lsf", "blobs:data")).stdout, "hello.txt\n")
        self.assertNotEqual(rclone(blobs.url("data"), "deletefile", "blobs:data/hello.txt").returncode, 0)
        self.assertNotEqual(rclone(blobs.url("data", lifetime=-1), "cat", "blobs:data/hello.txt").returncode, 0)
        self.assertNotEqual(rclone(blobs.url("data").replace("sig=", "sig=A"), "cat", "blobs:data/hello.txt").returncode, 0)

    def test_ssh_lets_a_key_in(self):
        server = self.enterContext(Ssh())
        for kind in ("ed25519", "rsa", "ecdsa"):
            key = server.key(kind)
            command = ["ssh", *server.options, "-i", key, "-o", "IdentitiesOnly=yes", f"{server.user}@127.0.0.1", "echo in"]
            self.assertIn("Permission denied", run(*command).stderr)
            server.allow(key)
            self.assertEqual(self.assert_ok(run(*command)).stdout, "in\n")
        self.assertRegex(server.fingerprint, "^SHA256:")
        server.wait_log("Accepted publickey for root")


if __name__ == "__main__":
    unittest.main()
