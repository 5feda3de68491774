#!/usr/bin/env python3
"""A registry with a password and TLS, reached through docker-credential-scratchd; scratchctl reads a job's credentials."""

import json
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from host import Job, await_port, free_port, main, need, run  # noqa: E402

WORD = 'p"a\\ss/wörd'


class Registry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("docker-registry", "htpasswd", "skopeo", "openssl")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="scratchd-registry-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.port = free_port()
        cls.name = f"localhost:{cls.port}"
        (cls.folder / "word").write_text(WORD + "\n")
        (cls.folder / "data").write_bytes(b"a\0b\n")
        login = run("htpasswd", "-Bbn", "puller", WORD)
        (cls.folder / "htpasswd").write_text(login.stdout)
        made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                   "-addext", "subjectAltName=DNS:localhost", "-keyout", cls.folder / "tls.key", "-out", cls.folder / "ca.crt")
        assert made.returncode == 0, made.stderr
        cls.start()
        cls.job = Job(["registry", "images", cls.name, "puller", cls.folder / "word", "secret", "data", cls.folder / "data"])
        cls.addClassCleanup(cls.job.end)
        (cls.job.docker / "config.json").write_text(json.dumps({"credHelpers": {cls.name: "scratchd"}}))
        cls.env = {"DOCKER_CONFIG": str(cls.job.docker), "SSL_CERT_FILE": str(cls.folder / "ca.crt")}

    @classmethod
    def start(cls):
        config = cls.folder / "registry.json"  # YAML takes JSON
        config.write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {"rootdirectory": str(cls.folder / "store")}},
            "http": {"addr": f"127.0.0.1:{cls.port}", "tls": {"certificate": str(cls.folder / "ca.crt"), "key": str(cls.folder / "tls.key")}},
            "auth": {"htpasswd": {"realm": "test", "path": str(cls.folder / "htpasswd")}}}))
        log = open(cls.folder / "registry.log", "w")
        cls.addClassCleanup(log.close)
        cls.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        cls.addClassCleanup(cls.process.wait)
        cls.addClassCleanup(cls.process.terminate)
        await_port(cls.port, cls.process)

    def image(self):
        """A folder with a one-layer image, as skopeo's dir: transport has it."""
        made = self.folder / "oci"
        if not made.exists():
            made.mkdir()
            self.write_image(made)
        return f"oci:{made}:one"

    def write_image(self, made):
        import hashlib, io, tarfile
        blobs = made / "blobs" / "sha256"
        blobs.mkdir(parents=True)

        def blob(data, kind):
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

        tar = io.BytesIO()
        tarfile.open(fileobj=tar, mode="w").close()
        layer = blob(tar.getvalue(), "layer.v1.tar")
        config = blob(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode(), "config.v1+json")
        manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode(), "manifest.v1+json")
        manifest["annotations"] = {"org.opencontainers.image.ref.name": "one"}
        (made / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
        (made / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def helper(self, verb, stdin="", **env):
        return run("docker-credential-scratchd", verb, env=self.env | env, stdin=stdin)

    def test_the_helper_gives_the_login(self):
        done = self.helper("get", self.name + "\n")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(json.loads(done.stdout), {"ServerURL": self.name, "Username": "puller", "Secret": WORD})
        self.assertEqual(json.loads(self.helper("list").stdout), {self.name: "puller"})
        self.assertIn("scratchd", self.helper("version").stdout)

    def test_the_helper_finds_its_job_by_the_job_directory_too(self):
        done = run("docker-credential-scratchd", "get", env={"SCRATCHD_JOB_DIR": "/mnt/scratch/no-such-job"}, stdin=self.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("E0095 /run/scratchd/jobs/no-such-job/credential.sock", done.stdout)
        done = run("docker-credential-scratchd", "get", stdin=self.name)
        self.assertIn("E0045", done.stdout)

    def test_the_helper_knows_no_other_registry_and_stores_nothing(self):
        for server in ("localhost", "other.example", f"evil-{self.name}", f"https://{self.name}", 'x","op":"list', "x" * 300):
            done = self.helper("get", server)
            self.assertEqual((done.returncode, done.stdout.strip()), (1, "credentials not found in native keychain"))
        for verb in ("store", "erase"):
            done = self.helper(verb, self.name)
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stdout.startswith("read-only credential helper"))
        self.assertEqual(self.helper("get").stdout.strip(), "no credentials server URL")
        self.assertEqual(self.helper("sing").returncode, 1)

    def test_skopeo_pushes_and_pulls_with_it_and_not_without(self):
        target = f"docker://{self.name}/one:latest"
        done = run("skopeo", "copy", "-q", self.image(), target, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("skopeo", "inspect", target, env=self.env).returncode, 0)
        empty = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        done = run("skopeo", "inspect", target, env=self.env | {"DOCKER_CONFIG": str(empty)})
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(WORD, done.stdout + done.stderr)

    def test_podman_pulls_with_it(self):
        need("podman")
        run("skopeo", "copy", "-q", self.image(), f"docker://{self.name}/pulled:latest", env=self.env)
        root = self.folder / "podman"
        done = run("podman", "--root", root, "--runroot", self.folder / "run", "--storage-driver", "vfs", "pull", "-q", f"{self.name}/pulled:latest",
                   env=self.env | {"REGISTRY_AUTH_FILE": str(self.job.docker / "config.json")})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_docker_reads_a_manifest_with_it(self):
        need("docker")
        run("skopeo", "copy", "-q", self.image(), f"docker://{self.name}/one:latest", env=self.env)
        done = run("docker", "manifest", "inspect", f"{self.name}/one:latest", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)

    def ctl(self, *argv, **how):
        # The job's folder is found by name only below /run/scratchd/jobs.
        return run("scratchctl", *argv, **how)

    def test_scratchctl_says_why_it_finds_no_job(self):
        done = self.ctl("credential", "list")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--job", done.stderr)
        done = self.ctl("credential", "get", "data", "--job", "no-such-job")
        self.assertEqual(done.returncode, 5)
        self.assertIn("E0095", done.stderr)


@unittest.skipUnless(os.getuid() == 0, "needs root: it makes /run/scratchd/jobs/<test>")
class InAJob(unittest.TestCase):
    """scratchctl below the real /run/scratchd/jobs."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="scratchd-values-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "data").write_bytes(b"a\0b\n")
        self.job = Job(["secret", "data", self.folder / "data"])
        self.addCleanup(self.job.end)
        self.id = f"component-{os.getpid()}"
        jobs = pathlib.Path("/run/scratchd/jobs")
        jobs.mkdir(parents=True, exist_ok=True)
        link = jobs / self.id
        link.symlink_to(self.job.root)
        self.addCleanup(link.unlink)

    def test_scratchctl_lists_and_gets(self):
        shown = run("scratchctl", "--json", "credential", "list", "--job", self.id)
        self.assertEqual(json.loads(shown.stdout), {"credentials": [{"name": "data", "kind": "secret", "available": True}]}, shown.stderr)
        got = run("scratchctl", "credential", "get", "data", env={"SCRATCHD_JOB_DIR": f"/mnt/scratch/{self.id}"})
        self.assertEqual((got.returncode, got.stdout), (0, "a\0b\n"), got.stderr)
        refused = run("scratchctl", "credential", "get", "other", "--job", self.id)
        self.assertEqual(refused.returncode, 4)
        self.assertIn("E0090", refused.stderr)

    def test_scratchctl_shows_no_secret_on_a_terminal(self):
        from host import BIN
        for more, expected in ([], b"E0005"), (["--force"], b"a\0b"):
            ours, theirs = pty.openpty()
            done = subprocess.run([str(BIN / "scratchctl"), "credential", "get", "data", "--job", self.id, *more], stdout=theirs, stderr=theirs, timeout=20)
            os.close(theirs)
            self.assertIn(expected, os.read(ours, 4096))
            os.close(ours)
            self.assertEqual(done.returncode, 0 if more else 2)


if __name__ == "__main__":
    main()
