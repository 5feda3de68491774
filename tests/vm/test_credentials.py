"""Credentials that live and die with a job: the real scratchd and scratchd-broker, secrets from files of root. Fast machine."""

import json
import unittest

from machine import BIN
from node import Scenario

CONFIG = """[workspace]
hbi = true
[scratch]
disks = ["/dev/disk/by-id/virtual-scratch-*"]
[broker]
max_age = "6s"
[[credential]]
name = "data"
kind = "storage"
account = "contoso"
container = "train"
write = ["rclone", "blobfuse2"]
[[credential]]
name = "login"
kind = "registry"
registry = "reg.example:5000"
username = "robot"
users = ["alice"]
[[credential]]
name = "deploy"
kind = "ssh"
"""
SAS = "sv=2024-11-04&sig=planted-sas-4711"
PASSWORD = "planted-password-4711"
FOLDER = "/run/scratchd/jobs/17"
FILES = f"{FOLDER}/credentials"
ALL = ("data", "login", "deploy")


class Credentials(Scenario):
    def ready(self, **how):
        node = self.node(start=False, disks=1, **how)
        node.configure(CONFIG)
        node.source("data", SAS + "\n")
        node.source("login", PASSWORD)
        node.sh("ssh-keygen -q -t ed25519 -N '' -f /tmp/key && install -m 400 /tmp/key /etc/scratchd/credentials/deploy && rm /tmp/key")
        node.start_broker()
        return node.start()

    def begin(self, node, job="17", user="alice", names=ALL, **how):
        return node.ctl_json("job", "begin", job, "--user", user, *[w for n in names for w in ("--credential", n)], **how)

    def as_alice(self, node, *argv, codes=(0,), uid=1001, env=()):
        drop = ["env", "-i", *env, "setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"]
        return node.machine.run([*drop, *argv], codes=codes)

    def test_a_job_gets_files_a_login_and_a_key_and_loses_them(self):
        node = self.ready()
        env = self.begin(node)["env"]
        self.assertEqual(env, {"SCRATCHD_JOB_DIR": "/mnt/scratch/17", "TMPDIR": "/mnt/scratch/17",
                               "DOCKER_CONFIG": f"{FOLDER}/docker", "SSH_AUTH_SOCK": f"{FOLDER}/ssh-agent.sock"})  # fmt: skip
        self.assertEqual(node.status()["jobs"][0]["credentials"], list(ALL))
        self.assertEqual(self.as_alice(node, "cat", f"{FILES}/data").out, SAS)
        self.assertIn(f"sas_url = https://contoso.blob.core.windows.net/train?{SAS}\n", self.as_alice(node, "cat", f"{FILES}/data.rclone.conf").out)
        self.assertIn(f'sas: "?{SAS}"', self.as_alice(node, "cat", f"{FILES}/data.blobfuse2.yaml").out)
        self.assertEqual(node.sh(f"stat -c '%a %u' {FOLDER} {FILES} {FILES}/data {FOLDER}/ssh-agent.sock").out, "500 1001\n500 1001\n400 1001\n600 1001\n")
        self.assertRegex(node.sh(f"grep ' {FOLDER} ' /proc/mounts").out, r"ramfs ro,nosuid,nodev,noexec")
        # Its owner, and still it may change nothing there: the view is read-only.
        for change in (f"echo x > {FILES}/data", f"chmod 600 {FILES}/data", f"touch {FOLDER}/x", f"rm {FILES}/data"):
            self.as_alice(node, "sh", "-c", change, codes=(1, 2))
        helper = str(BIN / "docker-credential-scratchd")
        login = self.as_alice(node, "sh", "-c", f"printf reg.example:5000 | {helper} get", env=[f"DOCKER_CONFIG={env['DOCKER_CONFIG']}"]).out
        self.assertEqual(json.loads(login), {"ServerURL": "reg.example:5000", "Username": "robot", "Secret": PASSWORD})
        self.assertIn("ED25519", self.as_alice(node, "ssh-add", "-l", env=[f"SSH_AUTH_SOCK={env['SSH_AUTH_SOCK']}"]).out)
        got = self.as_alice(node, node.ctl_program, "credential", "get", "data", env=["SCRATCHD_JOB_DIR=/mnt/scratch/17"]).out
        self.assertEqual(got, SAS)
        # The private key serves through the agent only.
        refused = self.as_alice(node, node.ctl_program, "credential", "get", "deploy", env=["SCRATCHD_JOB_DIR=/mnt/scratch/17"], codes=(4,))
        self.assertEqual((refused.out, "E0091" in refused.err), ("", True))
        # Another user sees no more than names that he can guess.
        for path in (f"{FILES}/data", f"{FOLDER}/docker/config.json"):
            self.as_alice(node, "cat", path, uid=1002, codes=(1,))
        self.as_alice(node, "ssh-add", "-l", uid=1002, env=[f"SSH_AUTH_SOCK={env['SSH_AUTH_SOCK']}"], codes=(2,))
        holder = node.as_user(["sh", "-c", f"exec 3< {FILES}/data; echo ready; read line; cat <&3"], uid=1001).wait_line("ready")
        node.end("17")
        node.sh(f"test ! -e {FOLDER}")
        self.assertNotIn("ramfs", node.sh("cat /proc/mounts").out)
        self.as_alice(node, "ssh-add", "-l", env=[f"SSH_AUTH_SOCK={env['SSH_AUTH_SOCK']}"], codes=(2,))
        holder.kill(9)
        self.assert_clean(node)

    def test_no_secret_is_in_an_environment_an_argument_a_log_or_a_file_elsewhere(self):
        node = self.ready()
        self.begin(node)
        worker = node.as_user(["sh", "-c", "exec sleep 1000"], uid=1001)
        for needle in ("[p]lanted-", "[P]RIVATE KEY"):
            found = node.sh(f"for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; tr '\\0' '\\n' < $p/cmdline; done 2>/dev/null | grep -c '{needle}' || true")
            self.assertEqual(found.out, "0\n")
            self.assertEqual(node.sh(f"grep -rls --exclude-dir=bin '{needle}' /var/lib/scratchd /tmp /run/scratchd/status.json /run/scratchd-broker || true").out, "")
            self.assertNotRegex(node.log() + node.broker.err.decode(), needle)
        worker.kill(9)
        node.end("17")
        node.ctl("report", "verify")

    def test_memory_of_the_machine_holds_no_secret_after_the_job(self):
        node = self.ready(extra="init_on_free=1")  # the broker wipes what it frees; this does it for pipes and files of root
        folder = "/etc/scratchd/credentials"
        sas, password = SAS.replace("planted", "buried"), PASSWORD.replace("planted", "buried")
        for name, text in (("data", sas), ("login", password)):
            node.write_unseen(f"{folder}/{name}", text)
        self.begin(node, names=("data", "login"))
        node.sh(f"rm {folder}/*; sync; echo 3 > /proc/sys/vm/drop_caches")
        during = node.ram_hits(text=[sas, password])
        self.assertGreater(during[sas], 0, "the scan sees a file of the job")
        self.assertGreater(during[password], 0, "the scan sees what the broker holds")
        node.end("17")
        node.sh(f"test ! -e {FOLDER}")
        self.assertEqual(node.ram_hits(text=[sas, password]), {sas: 0, password: 0})

    def test_whoever_may_not_have_a_credential_does_not_begin(self):
        node = self.ready()
        for job, user, names, code in (("1", "bob", ["login"], "E0091"), ("2", "alice", ["nothing"], "E0090"), ("3", "alice", ["../x"], "E0090")):
            refused = self.begin(node, job, user, names, codes=(4,))
            self.assertEqual(refused["code"], code)
        self.assertEqual(node.status()["state"], "ready")
        self.assertEqual(node.sh("ls -A /run/scratchd/jobs; ls /mnt/scratch").out.strip(), "")

    def test_a_secret_that_cannot_be_had_or_is_not_roots_alone_stops_the_begin(self):
        node = self.ready()
        node.sh("chmod 444 /etc/scratchd/credentials/login")
        self.assertEqual(self.begin(node, codes=(78,))["code"], "E0094")
        node.sh("chmod 400 /etc/scratchd/credentials/login; rm /etc/scratchd/credentials/data")
        self.assertEqual(self.begin(node, codes=(4,))["code"], "E0096")
        node.source("data", SAS)
        node.sh("chown 1001 /etc/scratchd/credentials")
        self.assertEqual(self.begin(node, codes=(78,))["code"], "E0094")
        node.sh("chown 0 /etc/scratchd/credentials; echo no key > /etc/scratchd/credentials/deploy")
        self.assertEqual(self.begin(node, names=("deploy",), codes=None)["code"], "E0093")
        self.assertEqual(node.status()["jobs"], [])
        self.begin(node, names=("data", "login"))
        node.end("17")
        self.assert_clean(node)

    def test_without_the_broker_no_job_with_credentials_begins_and_others_do(self):
        node = self.ready()
        node.broker.kill(9)
        node.broker.wait(10)
        self.assertEqual(self.begin(node, codes=(5,))["code"], "E0095")
        self.begin(node, names=())
        node.end("17")
        node.start_broker()
        self.begin(node)
        node.end("17")
        self.assert_clean(node)

    def test_rotation_reaches_the_same_path(self):
        node = self.ready()
        self.begin(node)
        reader = node.as_user(["sh", "-c", f"exec 3< {FILES}/data; echo ready; read line; cat <&3"], uid=1001).wait_line("ready")
        node.source("data", "sv=2&sig=second")
        node.ctl("credential", "resync")
        self.assertEqual(self.as_alice(node, "cat", f"{FILES}/data").out, "sv=2&sig=second")
        node.source("data", "sv=3&sig=third")  # and by itself, within max_age
        node.sh(f"until grep -q third {FILES}/data; do :; done", timeout=20)
        node.sh("rm /etc/scratchd/credentials/data")
        node.sh(f"while test -e {FILES}/data; do :; done", timeout=20)
        self.assertEqual(self.as_alice(node, node.ctl_program, "credential", "get", "data", codes=(1,), env=["SCRATCHD_JOB_DIR=/mnt/scratch/17"]).out, "")
        reader.kill(9)
        node.end("17")
        self.assert_clean(node)

    def test_a_broker_that_dies_in_mid_job_is_taken_up_again(self):
        node = self.ready()
        env = self.begin(node)["env"]
        node.broker.kill(9)
        node.broker.wait(10)
        self.assertEqual(self.as_alice(node, "cat", f"{FILES}/data").out, SAS)
        node.start_broker()
        node.daemon.wait_line("credentials.restored", timeout=20, stream="err")
        self.assertIn("ED25519", self.as_alice(node, "ssh-add", "-l", env=[f"SSH_AUTH_SOCK={env['SSH_AUTH_SOCK']}"]).out)
        node.broker.kill(9)
        node.broker.wait(10)
        node.sh(f"while test -e {FILES}/data; do :; done", timeout=20)  # away for longer than max_age
        node.end("17")
        self.assert_clean(node)

    def test_what_nobody_renews_goes_though_the_broker_is_back(self):
        node = self.ready()
        self.begin(node)
        node.sh("mv /etc/scratchd/credentials/data /root.data")
        node.broker.kill(9)
        node.broker.wait(10)
        node.start_broker()
        node.daemon.wait_line("credentials.not-restored", timeout=20, stream="err")
        node.sh(f"while test -e {FILES}/data; do :; done", timeout=20)
        node.sh("mv /root.data /etc/scratchd/credentials/data")
        node.sh(f"until grep -q planted {FILES}/data; do :; done", timeout=20)
        node.end("17")
        self.assert_clean(node)

    def test_a_restart_of_scratchd_with_several_jobs_ends_none(self):
        node = self.ready()
        for job in ("17", "18", "19"):
            self.begin(node, job=job)
        node.restart()
        for job in ("17", "18", "19"):
            node.daemon.wait_line(f'credentials.restored job="{job}"', timeout=20, stream="err")
        for job in ("17", "18", "19"):
            self.assertEqual(self.as_alice(node, "cat", f"/run/scratchd/jobs/{job}/credentials/data").out, SAS)
        for job in ("17", "18", "19"):
            node.end(job)
        node.broker.kill(15)
        node.broker.wait(10)
        said = node.broker.err.decode()
        self.assertEqual(said.count("credential.granted"), 3 * 3 * 2, "each job is granted again, and once")
        self.assertEqual(said.count("credentials.revoked"), 3, "no job but those that ended")
        self.assert_clean(node)

    def test_a_restart_of_scratchd_in_mid_job_harms_nothing(self):
        node = self.ready()
        env = self.begin(node)["env"]
        node.restart()
        node.daemon.wait_line("credentials.restored", timeout=20, stream="err")
        self.assertEqual(self.as_alice(node, "cat", f"{FILES}/data").out, SAS)
        self.assertIn("ED25519", self.as_alice(node, "ssh-add", "-l", env=[f"SSH_AUTH_SOCK={env['SSH_AUTH_SOCK']}"]).out)
        node.source("data", "sv=2&sig=second")
        node.ctl("credential", "resync")
        self.assertEqual(self.as_alice(node, "cat", f"{FILES}/data").out, "sv=2&sig=second")
        node.end("17")
        node.sh(f"test ! -e {FOLDER}")
        self.assert_clean(node)

    def test_credentials_of_a_job_that_is_gone_do_not_outlive_a_restart(self):
        node = self.ready()
        self.begin(node)
        node.crash()
        node.sh("umount /mnt/scratch")  # not as the journal says: wiped, not adopted
        node.start()
        self.assert_clean(node)
        node.sh(f"test ! -e {FOLDER}")
        self.assertNotIn("ramfs", node.sh("cat /proc/mounts").out)


if __name__ == "__main__":
    unittest.main()
