"""A job's programs, as they talk to its sockets: every call connects and writes as the user it names."""

import ctypes
import json
import os
import platform
import socket
import struct
import threading

libc = ctypes.CDLL(None, use_errno=True)
# setgroups, setresgid, setresuid: by their numbers, because libc's change every thread of a process and these one.
CALLS = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}[platform.machine()]
FRAME = struct.Struct(">I")


def _become(uid, gid, groups):
    listed = (ctypes.c_uint32 * len(groups))(*groups)
    for number, arguments in zip(CALLS, ((len(groups), listed), (gid,) * 3, (uid,) * 3)):
        if libc.syscall(number, *arguments) != 0:
            raise OSError(ctypes.get_errno(), f"become {uid}: {os.strerror(ctypes.get_errno())}")


def as_user(uid, work, gid=None, groups=()):
    """Runs `work` in a thread that is this user; returns its result or raises what it raised."""
    outcome = []

    def run():
        try:
            _become(uid, uid if gid is None else gid, groups)
            outcome.append((work(), None))
        except BaseException as problem:
            outcome.append((None, problem))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, problem = outcome[0]
    if problem:
        raise problem
    return result


def connect(path, timeout=20):
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(timeout)
        client.connect(os.fspath(path))
        return client
    except BaseException:
        client.close()
        raise


def exactly(client, size):
    data = bytearray()
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise ConnectionError(f"the connection ended after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def exchange(client, payload):
    """One frame there and one back: for credential.sock, and for ssh-agent.sock, which has the same frames."""
    client.sendall(FRAME.pack(len(payload)) + payload)
    return exactly(client, FRAME.unpack(exactly(client, FRAME.size))[0])


class Refused(Exception):
    """The status byte was not 0; `status` is it, `body` the bytes after it."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body.decode(errors='replace')}")
        self.status, self.body = status, body


class JobClient:
    """Calls on a job's credential.sock as one user, each on a connection of its own."""

    def __init__(self, path, uid, gid=None, groups=()):
        self.path, self.uid, self.gid, self.groups = path, uid, gid, groups

    def ask(self, request, timeout=20):
        def work():
            with connect(self.path, timeout) as client:
                return exchange(client, json.dumps(request).encode())

        reply = as_user(self.uid, work, self.gid, self.groups)
        if not reply or reply[0]:
            raise Refused(reply[0] if reply else -1, reply[1:])
        return reply[1:]

    def get(self, name, **how):
        """The bytes of a credential."""
        return self.ask({"op": "get", "name": name}, **how)

    def docker(self, server, **how):
        return json.loads(self.ask({"op": "docker", "server": server}, **how))

    def list(self, **how):
        return json.loads(self.ask({"op": "list"}, **how))
