"""root's end of the channel to scratchd-broker, for tests without a kernel that has what scratchd needs.

It does what scratchd does there: makes a job's files and sockets, hands out descriptors, renames, removes. It starts
the broker as an unprivileged user and keeps all that was said.
"""

import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time

from job_folder import Job
from services import die_with_parent

BROKER_UID, LARGEST, DESCRIPTORS = 64123, 65536, 128
NO_SOURCE, INSECURE = 96, 94
ASKS = ("want-source", "want-file", "filled", "withdraw")


class Refused(Exception):
    def __init__(self, message):
        super().__init__(f"E{message.get('code', 0):04}: {message.get('what')}")
        self.code, self.what = message.get("code"), message.get("what")


class RootSide:
    """`config` is the text of scratchd.toml, `sources` what the folder of [broker] directory holds: names to bytes.

    In `config`, {folder} is the folder of this test. `spawn` starts the broker: that of azure.Azure does it inside.
    `answer` may be replaced to misbehave: it takes a request of the broker and returns (message, descriptors), or None.
    """

    def __init__(self, program, config="", sources=None, arguments=(), spawn=None, uid=BROKER_UID, env=None):
        self.temporary = tempfile.TemporaryDirectory(prefix="scratchd-root-")
        self.folder = pathlib.Path(self.temporary.name)
        self.runtime, self.directory = self.folder / "run", self.folder / "sources"
        self.folder.chmod(0o711)
        self.runtime.mkdir(mode=0o755)
        os.chown(self.runtime, uid, uid)
        (self.runtime / "jobs").mkdir(mode=0o711)
        self.directory.mkdir(mode=0o700)
        for name, content in (sources or {}).items():
            self.source(name, content)
        self.config = self.folder / "scratchd.toml"
        self.config.write_text(config.replace("{folder}", str(self.folder)))
        self.argv = [*([program] if isinstance(program, (str, os.PathLike)) else program),
                     *(arguments or ("--config", self.config, "--runtime", self.runtime))]  # fmt: skip
        self.spawn, self.uid, self.env = spawn or self._spawn, uid, env
        self.jobs, self.said, self.heard = {}, threading.Condition(), []
        self.serial, self.channel, self.child = 0, None, None
        self.answer = self.usual

    def source(self, name, content, mode=0o400):
        """A file of [broker] directory, new or changed."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)

    def _spawn(self, argv, uid, env=None, **how):
        user = ["setpriv", "--inh-caps", "+ipc_lock", "--ambient-caps", "+ipc_lock", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--pdeathsig", "KILL", "--"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **(env or {})}
        return subprocess.Popen([*user, *map(str, argv)], env=environment, preexec_fn=die_with_parent, **how)

    def start(self, timeout=20, log=None):
        """Starts the broker and says hello with the jobs that root knows. Its log goes to a file, broker.log."""
        with open(log or self.folder / "broker.log", "ab") as out:
            self.child = self.spawn(self.argv, uid=self.uid, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.connect(timeout)
        return self

    def connect(self, timeout=20):
        deadline = time.monotonic() + timeout
        while True:
            self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                self.channel.connect(str(self.runtime / "broker.sock"))
                break
            except OSError:
                self.channel.close()
                if self.child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the broker does not listen ({self.child.poll()}):\n{self.log()}") from None
                time.sleep(0.01)
        self.send({"op": "hello", "jobs": sorted(self.jobs)})
        self.reader = threading.Thread(target=self._read, args=(self.channel,), daemon=True)
        self.reader.start()

    def log(self):
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def send(self, message, descriptors=()):
        data = json.dumps(message).encode()
        if len(data) > LARGEST:
            raise ValueError("the packet is too long")
        socket.send_fds(self.channel, [data], list(descriptors))

    def _read(self, channel):
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(channel, LARGEST + 1, 1)
            except OSError:
                data, descriptors = b"", []
            for descriptor in descriptors:
                os.close(descriptor)
            message = json.loads(data) if data else {"op": "closed"}
            with self.said:
                self.heard.append({**message, "at": time.monotonic(), "descriptors": len(descriptors)})
                self.said.notify_all()
            if not data:
                return
            if message["op"] in ASKS and (answer := self.answer(message)):
                words, given = answer
                try:
                    self.send({**words, "serial": message["serial"]}, given)
                finally:
                    for descriptor in given:
                        os.close(descriptor)

    def usual(self, message):
        """What scratchd answers."""
        if message["op"] == "want-source":
            return self._open_source(message["name"])
        job, name = self.jobs.get(message["job"]), message["name"]
        if job is None or "/" in name or name.startswith("."):
            return {"op": "no-source", "code": 90, "what": f"no such job or file: {message}"}, []
        if message["op"] == "want-file":
            return {"op": "file"}, [job.begin_file(name)]
        (job.commit_file if message["op"] == "filled" else job.remove_file)(name)
        return {"op": "committed"}, []

    def _open_source(self, name):
        if "/" in name or name.startswith("."):
            return {"op": "no-source", "code": INSECURE, "what": f"{name} is no file's name"}, []
        try:
            descriptor = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as problem:
            return {"op": "no-source", "code": NO_SOURCE, "what": f"{name}: {problem.strerror}"}, []
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid or status.st_mode & 0o077:
            os.close(descriptor)
            return {"op": "no-source", "code": INSECURE, "what": f"{name} is not root's alone"}, []
        return {"op": "source"}, [descriptor]

    def request(self, message, descriptors=(), timeout=30):
        """Sends a request and returns its answer; raises Refused."""
        with self.said:
            self.serial += 1
            serial = self.serial
        self.send({**message, "serial": serial}, descriptors)
        answer = self.wait(lambda m: m["op"] not in ASKS and (m.get("serial") == serial or m["op"] == "closed"), timeout)
        if answer["op"] == "refused":
            raise Refused(answer)
        if answer["op"] == "closed":
            raise ConnectionError(f"the broker closed the channel:\n{self.log()}")
        return answer

    def wait(self, wanted, timeout=30, after=0):
        """The first thing heard, from number `after` on, for which `wanted` is true; an op may stand for the function."""
        matches = wanted if callable(wanted) else lambda m: m["op"] == wanted
        with self.said:
            if not self.said.wait_for(lambda: any(matches(m) for m in self.heard[after:]), timeout):
                raise TimeoutError(f"not heard: {wanted}; heard: {[m['op'] for m in self.heard]}\n{self.log()}")
            return next(m for m in self.heard[after:] if matches(m))

    def grant(self, job, credentials, uid=1001, gid=None, user="alice", groups=None, files=None, budget_ms=20000):
        """A job with these credentials; `files` are theirs unless named. Returns its Job, or raises Refused and leaves none:
        `half_written` are the files in which there was something all the same."""
        gid, files = uid if gid is None else gid, list(credentials if files is None else files)
        made = Job(self.runtime / "jobs" / job, uid, gid)
        listeners = [made.listen(made.socket), made.listen(made.agent)]
        descriptors = [*(s.fileno() for s in listeners), *(made.begin_file(name) for name in files)]
        try:
            self.request({"op": "grant", "job": job, "uid": uid, "gid": gid, "user": user, "groups": [user] if groups is None else groups,
                          "credentials": list(credentials), "files": files, "budget_ms": budget_ms}, descriptors,
                         budget_ms / 1000 + 10)  # fmt: skip
        except BaseException:
            self.half_written = [name for name, d in zip(files, descriptors[len(listeners) :]) if os.fstat(d).st_size]
            shutil.rmtree(made.folder)
            raise
        finally:
            for listener in listeners:
                listener.close()
            for descriptor in descriptors[len(listeners) :]:
                os.close(descriptor)
        for name in files:
            made.commit_file(name)
        self.jobs[job] = made
        return made

    def revoke(self, job, timeout=5):
        """Returns the seconds until the broker said that it is done; the job's folder is gone then."""
        started = time.monotonic()
        self.request({"op": "revoke", "job": job}, timeout=timeout)
        took = time.monotonic() - started
        shutil.rmtree(self.jobs.pop(job).folder)
        return took

    def resync(self, timeout=60):
        return self.request({"op": "resync"}, timeout=timeout)

    def asked(self, op):
        with self.said:
            return [m for m in self.heard if m["op"] == op]

    def stop(self):
        """Ends the broker as systemd would; returns its exit code."""
        if self.child.poll() is None:
            self.child.terminate()
        code = self.child.wait(20)
        self._hang_up()
        return code

    def _hang_up(self):
        if self.channel:
            try:
                self.channel.shutdown(socket.SHUT_RDWR)
                self.reader.join(5)
            except (OSError, AttributeError):
                pass
            self.channel.close()

    def close(self):
        if self.child:
            if self.child.poll() is None:
                self.child.kill()
            self.child.wait()
        self._hang_up()
        self.temporary.cleanup()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *what):
        self.close()
