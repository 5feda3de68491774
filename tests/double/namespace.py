"""A private network and mount namespace in which the double answers at the real addresses and names.

A child holds the namespaces open; sockets made in them by a thread of this process are served from this process. What
runs inside sees its own /etc/hosts, /etc/resolv.conf, certificate authorities and an empty /var/opt.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8914, 0x8916, 0x891C, 1
PR_SET_PDEATHSIG = 1
DNS = "10.255.255.53"
libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source, target, kind=None, flags=0):
    names = [n and os.fsencode(n) for n in (source, os.path.realpath(target), kind)]
    _check(libc.mount(*names, ctypes.c_ulong(flags), None), f"mount {target}")


def _addresses(wanted):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
        for number, address in enumerate(wanted):
            for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.255")):
                name = f"lo:{number}".encode()
                fcntl.ioctl(s, request, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(value)))


def hold(wanted):
    """The child: makes the namespaces and keeps them until its parent closes the pipe or dies."""
    _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
    _check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare (root is needed)")
    _check(libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "mount /")
    _addresses(wanted["addresses"])
    for source, target in wanted["binds"]:
        _mount(source, target, flags=MS_BIND)
    os.makedirs("/var/opt", exist_ok=True)
    _mount("tmpfs", "/var/opt", "tmpfs")
    os.makedirs("/var/opt/azcmagent/tokens")
    print("ready", flush=True)
    sys.stdin.read()


class Namespace:
    """`hosts` maps names to addresses; `trusted` is a folder that stands in for /etc/ssl/certs."""

    def __init__(self, hosts, trusted, addresses=()):
        self.hosts = dict(hosts)
        self.folder = tempfile.TemporaryDirectory(prefix="scratchd-namespace-")
        os.chmod(self.folder.name, 0o755)
        files = pathlib.Path(self.folder.name)
        self.hosts_file = files / "hosts"
        (files / "resolv.conf").write_text(f"nameserver {DNS}\n")
        self.children, self.black_hole = [], None
        self.answer_names()
        wanted = {
            "addresses": sorted({*self.hosts.values(), *addresses, DNS}),
            "binds": [[str(files / "hosts"), "/etc/hosts"], [str(files / "resolv.conf"), "/etc/resolv.conf"], [str(trusted), "/etc/ssl/certs"]],
        }
        self.holder = subprocess.Popen([sys.executable, "-B", __file__, json.dumps(wanted)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            self.close()
            raise RuntimeError("the namespace was not made; its words are on stderr")
        self.root = f"/proc/{self.holder.pid}/root"
        self.tokens_folder = f"{self.root}/var/opt/azcmagent/tokens"

    def answer_names(self):
        """Names are found at once, in /etc/hosts; others are refused at once."""
        if self.black_hole:
            self.black_hole.close()
        self.black_hole = None
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.hosts.items())]
        self.hosts_file.write_text("\n".join(lines) + "\n")  # the same inode: it may be mounted

    def silence_names(self):
        """No name is found any more: the name server takes every question and never answers."""
        self.hosts_file.write_text("127.0.0.1 localhost\n")
        self.black_hole = self.socket(socket.SOCK_DGRAM)
        self.black_hole.bind((DNS, 53))

    def socket(self, kind=socket.SOCK_STREAM):
        """A socket of the inner network, usable from here."""
        made = []

        def enter():
            with open(f"/proc/{self.holder.pid}/ns/net") as net:
                if libc.setns(net.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket(socket.AF_INET, kind))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if not made:
            raise RuntimeError("the network namespace could not be entered")
        return made[0]

    def listen(self, address, port):
        listener = self.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
        return listener

    def connect(self, host, port, timeout=20):
        client = self.socket()
        client.settimeout(timeout)
        try:
            client.connect((self.hosts.get(host, host), port))
        except OSError:
            client.close()
            raise
        return client

    def command(self, argv, uid=0, gid=None, groups=()):
        """What runs `argv` inside, as this user; it dies with the thread that started it."""
        gid = uid if gid is None else gid
        others = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
        user = ["--reuid", str(uid), "--regid", str(gid), *others] if uid else []
        enter = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", f"--mount=/proc/{self.holder.pid}/ns/mnt"]
        return [*enter, "setpriv", "--inh-caps", "+ipc_lock", "--ambient-caps", "+ipc_lock", *user, "--pdeathsig", "KILL", "--", *map(str, argv)]

    def spawn(self, argv, uid=0, gid=None, groups=(), env=None, **how):
        """Starts `argv` inside with a plain environment; returns its Popen, which close() ends."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **(env or {})}
        child = subprocess.Popen(self.command(argv, uid, gid, groups), env=environment, **how)
        self.children.append(child)
        return child

    def run(self, argv, timeout=60, **how):
        """Runs `argv` inside to its end; returns a CompletedProcess with text."""
        child = self.spawn(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        return subprocess.CompletedProcess(argv, child.returncode, out, err)

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        if self.black_hole:
            self.black_hole.close()
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


if __name__ == "__main__":
    hold(json.loads(sys.argv[1]))
