#!/usr/bin/env python3
"""ssh, ssh-add, ssh-keygen and git log in and sign through our agent, at a real sshd, with all kinds of keys."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from host import Job, await_port, free_port, main, need, run  # noqa: E402

KINDS = {"ed25519": ["-t", "ed25519"], "rsa": ["-t", "rsa", "-b", "3072"], "ecdsa": ["-t", "ecdsa", "-b", "256"]}
USER = "root" if os.getuid() == 0 else os.environ.get("USER", "nobody")


class Agent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("sshd", "ssh", "ssh-add", "ssh-keygen", "git")
        if os.getuid() != 0:
            raise unittest.SkipTest("needs root: sshd logs in as its own user, and another user must be refused")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="scratchd-ssh-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name, how in KINDS.items():
            cls.make_key(name, how)
        cls.make_key("host", KINDS["ed25519"])
        cls.make_key("host_rsa", KINDS["rsa"])
        public = [(cls.folder / f"{k}.pub").read_text() for k in KINDS]
        (cls.folder / "authorized").write_text("".join(public))
        cls.start_sshd()
        cls.fingerprint = run("ssh-keygen", "-lf", cls.folder / "host.pub").stdout.split()[1]

    @classmethod
    def make_key(cls, name, how):
        made = run("ssh-keygen", "-q", "-N", "", "-C", name, "-f", cls.folder / name, *how)
        assert made.returncode == 0, made.stderr

    @classmethod
    def start_sshd(cls):
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        cls.port = free_port()
        config = cls.folder / "sshd_config"
        config.write_text(f"""ListenAddress 127.0.0.1:{cls.port}
HostKey {cls.folder}/host
HostKey {cls.folder}/host_rsa
AuthorizedKeysFile {cls.folder}/authorized
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
AllowAgentForwarding yes
""")
        config_log = open(cls.folder / "sshd.log", "w")
        cls.addClassCleanup(config_log.close)
        cls.sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stderr=config_log)
        cls.addClassCleanup(cls.sshd.wait)
        cls.addClassCleanup(cls.sshd.terminate)
        await_port(cls.port, cls.sshd)
        keys = "".join(f"[127.0.0.1]:{cls.port} {(cls.folder / k).read_text()}" for k in ("host.pub", "host_rsa.pub"))
        (cls.folder / "known_hosts").write_text(keys)

    def job(self, names=tuple(KINDS), hosts="-"):
        job = Job([word for n in names for word in ("ssh", n, self.folder / n, hosts)])
        self.addCleanup(job.end)
        return job

    def options(self):
        return ["-F", "none", "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]

    def ssh(self, job, *more, command="true", **how):
        env = {"SSH_AUTH_SOCK": str(job.agent)}
        return run("ssh", *self.options(), "-p", self.port, *more, f"{USER}@127.0.0.1", command, env=env, **how)

    def test_lists_its_keys(self):
        job = self.job()
        shown = run("ssh-add", "-l", env={"SSH_AUTH_SOCK": str(job.agent)})
        self.assertEqual(shown.returncode, 0, shown.stderr)
        for name in KINDS:
            line = run("ssh-keygen", "-lf", self.folder / f"{name}.pub").stdout
            self.assertIn(line.split()[1] + f" {name} (", shown.stdout)

    def test_logs_in_with_each_kind_of_key(self):
        for name in KINDS:
            for key in ("ssh-ed25519", "rsa-sha2-512"):
                with self.subTest(key=name, host=key):
                    job = self.job([name])
                    done = self.ssh(job, "-o", f"HostKeyAlgorithms={key}", command="echo in")
                    self.assertEqual((done.returncode, done.stdout), (0, "in\n"), done.stderr)
                    self.assertIn(f"sign credential={name} user={USER} host=SHA256:", job.told())

    def test_logs_in_to_an_allowed_host_and_no_other(self):
        allowed = self.job(["ed25519"], self.fingerprint)
        done = self.ssh(allowed, "-o", "HostKeyAlgorithms=ssh-ed25519")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"host={self.fingerprint} refusal=", allowed.told())
        done = self.ssh(allowed, "-o", "HostKeyAlgorithms=rsa-sha2-512")
        self.assertEqual(done.returncode, 255)
        self.assertTrue(allowed.told().endswith("refusal=not a host of this credential"))

    def test_a_forwarded_connection_gets_nothing(self):
        job = self.job(["ed25519"])
        done = self.ssh(job, "-A", command="ssh-add -l")
        self.assertIn("The agent has no identities.", done.stdout + done.stderr)
        hop = f"ssh -F none -o UserKnownHostsFile={self.folder}/known_hosts -o BatchMode=yes -p {self.port} {USER}@127.0.0.1 true"
        self.assertNotEqual(self.ssh(job, "-A", command=hop).returncode, 0)

    def test_keys_are_not_added_removed_or_locked(self):
        job = self.job(["ed25519"])
        for argv in (["ssh-add", self.folder / "rsa"], ["ssh-add", "-d", self.folder / "ed25519.pub"], ["ssh-add", "-D"]):
            self.assertNotEqual(run(*argv, env={"SSH_AUTH_SOCK": str(job.agent)}).returncode, 0)
        self.assertEqual(self.ssh(job).returncode, 0)

    def test_another_user_is_refused(self):
        job = self.job(["ed25519"])
        shown = run("ssh-add", "-l", env={"SSH_AUTH_SOCK": str(job.agent)}, user=65533)
        self.assertNotEqual(shown.returncode, 0)
        self.assertEqual(job.told(), "refused uid=65533 program=ssh-add")

    def test_git_clones_and_signs(self):
        job = self.job(["ed25519"])
        origin, clone = self.folder / "origin.git", self.folder / "clone"
        env = {"SSH_AUTH_SOCK": str(job.agent), "GIT_SSH_COMMAND": "ssh " + " ".join(self.options()),
               "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        run("git", "init", "-q", "--bare", origin)
        done = run("git", "clone", "-q", f"ssh://{USER}@127.0.0.1:{self.port}{origin}", clone, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        public = (self.folder / "ed25519.pub").read_text()
        (self.folder / "signers").write_text(f"a@example {public}")
        settings = ["-c", "user.name=a", "-c", "user.email=a@example", "-c", "gpg.format=ssh", "-c", f"user.signingkey={self.folder}/ed25519.pub",
                    "-c", f"gpg.ssh.allowedSignersFile={self.folder}/signers"]
        done = run("git", *settings, "commit", "-q", "--allow-empty", "-S", "-m", "signed", cwd=clone, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run("git", *settings, "verify-commit", "HEAD", cwd=clone, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run("git", "push", "-q", "origin", "HEAD", cwd=clone, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_ssh_keygen_signs_files(self):
        for name in KINDS:
            job = self.job([name])
            (self.folder / "file").write_text("content")
            (self.folder / "file.sig").unlink(missing_ok=True)
            done = run("ssh-keygen", "-Y", "sign", "-n", "test", "-f", self.folder / f"{name}.pub", self.folder / "file", env={"SSH_AUTH_SOCK": str(job.agent)})
            self.assertEqual(done.returncode, 0, done.stderr)
            done = run("ssh-keygen", "-Y", "check-novalidate", "-n", "test", "-s", self.folder / "file.sig", stdin="content")
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    main()
