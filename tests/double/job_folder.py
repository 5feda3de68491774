"""The folder of one job, as scratchd makes it: two sockets, and a file for each credential that is one."""

import os
import socket

from job_client import JobClient


class Job:
    """`folder` holds credential.sock, ssh-agent.sock and credentials/; all of it is the job's user's."""

    def __init__(self, folder, uid, gid):
        self.folder, self.uid, self.gid = folder, uid, gid
        self.files = folder / "credentials"
        self.socket, self.agent = folder / "credential.sock", folder / "ssh-agent.sock"
        self.files.mkdir(parents=True, mode=0o500)
        for made in (folder, self.files):
            os.chown(made, uid, gid)
            made.chmod(0o500)

    def listen(self, path):
        """A socket that only the job's user may connect to."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        os.chown(path, self.uid, self.gid)
        path.chmod(0o600)
        listener.listen(128)
        return listener

    def begin_file(self, name):
        """A new empty file that nobody sees yet, to write only."""
        hidden = self.files / f".{name}.new"
        hidden.unlink(missing_ok=True)
        descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
        os.fchown(descriptor, self.uid, self.gid)
        return descriptor

    def commit_file(self, name):
        (self.files / f".{name}.new").rename(self.files / name)

    def remove_file(self, name):
        (self.files / name).unlink(missing_ok=True)

    def read(self, name):
        return (self.files / name).read_bytes()

    def names(self):
        return sorted(f.name for f in self.files.iterdir())

    def client(self, uid=None, **how):
        return JobClient(self.socket, self.uid if uid is None else uid, **how)
