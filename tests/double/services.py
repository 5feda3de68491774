"""Real services on free ports of the loopback: a registry, blob storage, an ssh server. Each kills its own child only."""

import ctypes
import http.client
import os
import pathlib
import secrets
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

import sas
from certs import Certificates
from official import node, packages

libc = ctypes.CDLL(None)


def die_with_parent():
    libc.prctl(1, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    """A child with a folder and a log. `ready` is the text of its log that says it serves; `names`: what else it is called."""

    ready = ""

    def __init__(self, certificates=None, names=()):
        self.names = ["localhost", "127.0.0.1", *names]
        self.temporary = tempfile.TemporaryDirectory(prefix=f"scratchd-{type(self).__name__.lower()}-")
        self.folder = pathlib.Path(self.temporary.name)
        self.folder.chmod(0o755)
        self.certificates = certificates or Certificates(self.folder / "tls")
        self.lines, self.said, self.child = [], threading.Condition(), None

    def start(self, argv, **how):
        self.child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, preexec_fn=die_with_parent, **how)  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.wait_log(self.ready)

    def _read(self):
        for line in self.child.stdout:
            with self.said:
                self.lines.append(line)
                self.said.notify_all()
        with self.said:
            self.lines.append("")  # the end
            self.said.notify_all()

    def log(self):
        return "".join(self.lines)

    def wait_log(self, text, timeout=60):
        """Waits until the log holds this text: the event that a test goes on after."""
        with self.said:
            self.said.wait_for(lambda: text in self.log() or "" in self.lines, timeout)
            if text not in self.log():
                raise RuntimeError(f"{type(self).__name__} did not say {text!r}:\n{self.log()}")

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *what):
        if self.child:
            if self.child.poll() is None:
                self.child.kill()
            self.child.wait()
            self.reader.join(5)
            self.child.stdout.close()
        self.temporary.cleanup()


class Registry(Service):
    """docker-registry with TLS and one user. `name` is how docker calls it, `ca` whom to trust."""

    ready = "listening on "

    def begin(self):
        self.port, self.user, self.password = free_port(), "puller", secrets.token_urlsafe(18)
        self.name, self.ca = f"localhost:{self.port}", self.certificates.ca
        self.certs = self.folder / "certs.d"  # for --cert-dir of skopeo and podman
        self.certs.mkdir()
        (self.certs / "ca.crt").write_bytes(self.ca.read_bytes())
        certificate, key = self.certificates.server("good", self.names)
        hashed = subprocess.run(["htpasswd", "-nbB", self.user, self.password], capture_output=True, text=True, check=True).stdout.strip()
        (self.folder / "htpasswd").write_text(hashed + "\n")
        (self.folder / "registry.yml").write_text(
            f"version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {self.folder}/data}}}}\n"
            f"auth: {{htpasswd: {{realm: test, path: {self.folder}/htpasswd}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}', tls: {{certificate: {certificate}, key: {key}}}}}\n"
        )
        self.start(["docker-registry", "serve", self.folder / "registry.yml"])


class Blobs(Service):
    """The storage emulator with TLS. `url(container)` is an address with a SAS; `account` and `key` are its own."""

    ready = "Azurite Blob service successfully listens"
    account, key = sas.ACCOUNT, sas.KEY

    def begin(self):
        self.port, self.ca = free_port(), self.certificates.ca
        self.endpoint = f"https://127.0.0.1:{self.port}/{self.account}"  # by a name rclone would take the account for the container
        certificate, key = self.certificates.server("good", self.names)
        program = packages() / "azurite/dist/src/blob/main.js"
        self.start([node(), program, "--blobHost", "127.0.0.1", "--blobPort", self.port, "--location", self.folder / "data", "--silent",
                    "--cert", certificate, "--key", key, "--oauth", "basic", "--skipApiVersionCheck", "--disableTelemetry"],
                   env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})  # fmt: skip

    def url(self, container, permissions="rl", lifetime=3600):
        return f"{self.endpoint}/{container}?{sas.container(container, permissions, lifetime)}"

    def put(self, container, name=None, data=b""):
        """Makes a container, or a blob in it."""
        where = f"/{self.account}/{container}" + (f"/{name}?" if name else "?restype=container&") + sas.account_wide()
        headers = {"x-ms-version": sas.VERSION, "x-ms-blob-type": "BlockBlob", "Content-Length": str(len(data))}
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=ssl.create_default_context(cafile=self.ca))
        connection.request("PUT", where, data, headers)
        reply = connection.getresponse()
        words = reply.read()
        connection.close()
        if reply.status != 201:
            raise RuntimeError(f"{reply.status}: {words}")


class Ssh(Service):
    """An ssh server that lets a key in as `user`. `fingerprint` is its host key's; `options` are for ssh and git."""

    ready = "Server listening on "

    def __init__(self, user="root", **how):
        super().__init__(**how)
        self.user, self.authorised = user, self.folder / "authorized_keys"
        self.authorised.touch()

    def key(self, kind="ed25519", name=None, comment="test"):
        """A new key pair; the private one's path."""
        path = self.folder / (name or f"{kind}-{len(list(self.folder.glob('*.pub')))}")
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", path], check=True)
        return path

    def allow(self, public):
        with self.authorised.open("a") as file:
            file.write(pathlib.Path(f"{public}.pub" if not str(public).endswith(".pub") else public).read_text())

    def begin(self):
        self.port, host = free_port(), self.key(name="host")
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\nUsePAM no\nStrictModes no\nLogLevel VERBOSE\n"
            f"AuthorizedKeysFile {self.authorised}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        shown = subprocess.run(["ssh-keygen", "-lf", f"{host}.pub"], capture_output=True, text=True, check=True).stdout
        self.fingerprint = shown.split()[1]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {(self.folder / 'host.pub').read_text()}")
        self.options = ["-F", "none", "-p", str(self.port), "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "StrictHostKeyChecking=yes",
                        "-o", "BatchMode=yes"]  # fmt: skip
        self.start(["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"])
