"""A job on the full machine uses what `job begin` delivered, on real services; after its end none of it works or is left."""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

from full_node import BY_ID, FullNode
from node import Scenario

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "double"))
from services import Blobs, Registry  # noqa: E402

CONFIG = """[workspace]
hbi = true
[scratch]
disks = ["%s"]
[broker]
provider = "directory"
[[credential]]
name = "data"
kind = "storage"
account = "devstoreaccount1"
container = "train"
endpoint = "https://devstoreaccount1.blob.test:%d"
write = ["rclone"]
[[credential]]
name = "images"
kind = "registry"
registry = "registry.test:%d"
username = "puller"
[[credential]]
name = "deploy"
kind = "ssh"
hosts = ["%s"]
[[credential]]
name = "db"
kind = "secret"
units = ["train.service"]
"""
UNIT = """[Service]
Type=oneshot
LoadCredential=db:/run/scratchd-broker/credential.sock
ExecStart=sha256sum ${CREDENTIALS_DIRECTORY}/db
"""
SSHD = "/usr/sbin/sshd -D -e -p 2222 -o ListenAddress=127.0.0.1 -o UsePAM=no -o PasswordAuthentication=no"
FOLDER = "/run/scratchd/jobs/17"
SOURCES = "/etc/scratchd/credentials"
NAMES = ("data", "images", "deploy")
DB = 'words "of" the db/4711+'


def forms(secret):
    """How a secret looks where it should not be."""
    raw = secret.encode()
    return {secret, urllib.parse.quote(secret, safe=""), json.dumps(secret)[1:-1], base64.b64encode(raw).decode().rstrip("=")[:-1],
            base64.b64encode(b"puller:" + raw).decode().rstrip("=")[:-1]}  # fmt: skip


class FullCredentials(Scenario):
    machine_tier = "full"
    time_limit = 300

    def ready(self):
        self.registry = self.enterContext(Registry(names=["registry.test"]))
        self.blobs = self.enterContext(Blobs(names=["devstoreaccount1.blob.test"]))
        self.put_image()
        self.blobs.put("train")
        self.blobs.put("train", "hello.txt", b"hello")
        node = self.node(cls=FullNode, start=False, disks=1)
        node.machine.connect_to_host()
        node.sh("echo '10.0.2.2 registry.test devstoreaccount1.blob.test' >> /etc/hosts; mkdir -p /run/sshd -m 755")
        node.machine.write("/etc/ssl/certs/ca-certificates.crt", self.registry.ca.read_text() + self.blobs.ca.read_text())
        self.sas = self.blobs.url("train").split("?")[1]
        node.sh(f"usermod -p '*' alice; mkdir -m 700 -p {SOURCES}; install -d -o alice -m 700 ~alice/.ssh; ssh-keygen -q -t ed25519 -N '' -f {SOURCES}/deploy; "
                f"install -o alice -m 600 {SOURCES}/deploy.pub ~alice/.ssh/authorized_keys; rm {SOURCES}/deploy.pub; "
                "echo \"[127.0.0.1]:2222 $(cat /etc/ssh/ssh_host_ed25519_key.pub)\" > /etc/ssh/ssh_known_hosts")  # fmt: skip
        self.key = node.read_unseen(f"sed -n 3p {SOURCES}/deploy")
        host = node.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").out.split()[1]
        for name, text in (("data", self.sas), ("images", self.registry.password), ("db", DB)):
            node.write_unseen(f"{SOURCES}/{name}", text)
        node.configure(CONFIG % (BY_ID + node.disks[0].stem, self.blobs.port, self.registry.port, host))
        node.machine.write("/etc/systemd/system/train.service", UNIT)
        for unit, program in (("scratchd", "scratchd"), ("scratchd-broker", "scratchd-broker")):
            node.sh(f"mkdir -p /run/systemd/system/{unit}.service.d")
            node.machine.write(f"/run/systemd/system/{unit}.service.d/trace.conf", f"[Service]\nExecStart=\nExecStart=/usr/sbin/{program} --verbose\n")
        node.sh(f"systemctl daemon-reload; systemctl start scratchd-broker; systemd-run -q {SSHD}", timeout=60)
        return node.start()

    def put_image(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="scratchd-image-")))
        (folder / "layer").write_bytes(b"\0" * 10240)
        digest = subprocess.run(["sha256sum", folder / "layer"], capture_output=True, text=True, check=True).stdout.split()[0]
        (folder / "config.json").write_text(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}))
        (folder / "manifest.json").write_text(json.dumps([{"Config": "config.json", "RepoTags": ["hello:1"], "Layers": ["layer"]}]))
        subprocess.run(["tar", "-C", folder, "-cf", folder / "image.tar", "config.json", "manifest.json", "layer"], check=True)
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-creds", f"{self.registry.user}:{self.registry.password}", "--dest-cert-dir",
                        self.registry.certs, f"docker-archive:{folder}/image.tar", f"docker://{self.registry.name}/hello:1"], check=True)  # fmt: skip

    def in_job(self, node, *argv):
        """Runs as a process of the job, with the environment that `job begin` gave and no other credential."""
        env = [f"{k}={v}" for k, v in self.env.items()]
        return node.as_user(["env", "-i", "PATH=/usr/bin:/bin", "HOME=/nonexistent", *env, *argv], cgroup=None).wait(60)

    def uses(self):
        yield "registry", ("skopeo", "inspect", f"docker://registry.test:{self.registry.port}/hello:1"), "sha256:"
        yield "ssh", ("ssh", "-F", "none", "-o", "BatchMode=yes", "-p", "2222", "alice@127.0.0.1", "id -un"), "alice"
        yield "blob", ("rclone", "--config", f"{FOLDER}/credentials/data.rclone.conf", "--retries", "1", "cat", "data:train/hello.txt"), "hello"
        yield "file", ("cat", f"{FOLDER}/credentials/data"), "sig="
        yield "list", ("scratchctl", "credential", "list"), "images"

    def places(self, node):
        """Where in the machine a secret is found that should be in no such place."""
        quiet = "grep -aFlsf /run/needles"
        script = (f"{quiet} /proc/[0-9]*/environ /proc/[0-9]*/cmdline; {quiet} -r /var /tmp /run/scratchd/status.json /run/scratchd-broker; "
                  "journalctl --no-pager -o export | grep -aFqf /run/needles && echo journal; scratchctl metrics | grep -aFqf /run/needles && echo metrics; "
                  "for n in $(seq $(scratchctl --json report list | grep -c sequence)); do scratchctl --json report show $n; done | grep -aFqf /run/needles && echo record; true")  # fmt: skip
        return node.machine.run(["sh", "-c", script], timeout=60).out

    def test_a_job_uses_its_credentials_and_nothing_of_them_is_left(self):
        node = self.ready()
        needles = [self.sas, self.registry.password, self.key, DB]
        node.write_unseen("/run/needles", "\n".join(sorted(set().union(*map(forms, needles)))) + "\n")
        self.env = node.ctl_json("job", "begin", "17", "--user", "alice", *[w for n in NAMES for w in ("--credential", n)])["env"]
        for name, argv, sign in self.uses():
            done = self.in_job(node, *argv)
            self.assertIn(sign, done.expect().out, name)
        expected = node.sh(f"sha256sum < {SOURCES}/db").out.split()[0]
        node.sh("systemctl start train.service", timeout=60)
        self.assertIn(expected, node.sh("journalctl -u train.service -o cat --no-pager").out)
        node.sh("sed 's/=db:/=data:/' /etc/systemd/system/train.service > /etc/systemd/system/other.service; systemctl daemon-reload")
        node.machine.run(["systemctl", "start", "other.service"], codes=(1,), timeout=60)
        self.assertIn("unit.refused", node.sh("journalctl -u scratchd-broker -o cat --no-pager").out)

        node.sh("cp /run/needles /tmp/seen; cp /run/needles /var/seen")
        self.assertEqual(self.places(node).split(), ["/var/seen", "/tmp/seen"], "the search does not see, or sees too much")
        node.sh("rm /tmp/seen /var/seen; sysctl -q kernel.core_pattern=/tmp/core.%p; systemctl kill -s ABRT scratchd-broker; "
                "until journalctl -u scratchd -o cat --no-pager | grep -q credentials.restored; do :; done", timeout=60)  # fmt: skip
        self.assertEqual(node.sh("ls /tmp | grep core || true").out, "")
        self.assertIn("images", self.in_job(node, "scratchctl", "credential", "list").expect().out)
        self.assertEqual(self.places(node), "")

        node.sh(f"rm {SOURCES}/* /run/needles; sync; echo 3 > /proc/sys/vm/drop_caches")
        during = node.ram_hits(text=needles[:3])
        self.assertNotIn(0, during.values(), "the scan does not see what the job has")
        node.end("17")
        for name, argv, sign in self.uses():
            self.assertNotEqual(self.in_job(node, *argv).code, 0, name)
        node.sh(f"test ! -e {FOLDER}")
        self.assertEqual(set(node.ram_hits(text=needles[:3]).values()), {0}, "a secret is in memory after its job")
        self.assert_clean(node)


if __name__ == "__main__":
    unittest.main()
