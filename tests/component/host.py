"""A job's sockets, served by socket_host from files in a temporary folder, and programs run as in that job."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

BIN = pathlib.Path(os.environ.get("SCRATCHD_BIN", "build/dev/bin")).resolve()
PROGRAMS = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}"


def run(*argv, env=None, stdin=None, cwd=None, user=None):
    """The finished process, with both outputs as text. A clean environment: only what `env` names."""
    clean = {"PATH": f"{BIN}:{PROGRAMS}", "HOME": "/nonexistent", "LC_ALL": "C"} | (env or {})
    return subprocess.run([str(a) for a in argv], env=clean, input=stdin, cwd=cwd, user=user, capture_output=True, text=True, timeout=60)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port, process):
    """Returns when somebody accepts on the port; fails when the process ends first."""
    while process.poll() is None:
        with socket.socket() as s:
            s.settimeout(1)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError(f"{process.args[0]} ended with {process.returncode}")


def need(*programs):
    missing = [p for p in programs if shutil.which(p, path=PROGRAMS) is None]
    if missing:
        raise unittest.SkipTest("not installed: " + ", ".join(missing))


class Job:
    """job/credential.sock, job/ssh-agent.sock and job/docker, as scratchd lays them out."""

    def __init__(self, words):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="scratchd-job-"))
        self.root.chmod(0o711)
        self.agent, self.socket, self.docker = self.root / "ssh-agent.sock", self.root / "credential.sock", self.root / "docker"
        self.docker.mkdir()
        self.process = subprocess.Popen(
            [str(w) for w in [BIN / "socket_host", os.getuid(), self.agent, self.socket, *words]],
            stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdout.readline() == "ready\n"

    def told(self):
        """The next line for the audit log."""
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.root)


def main():
    """Runs the calling file's tests; exits with 77 when every one was skipped, so that ctest shows it."""
    done = unittest.main(verbosity=2, exit=False).result
    nothing_ran = len(done.skipped) >= max(done.testsRun, 1)
    sys.exit(1 if not done.wasSuccessful() else 77 if nothing_ran else 0)
