"""The part of the demo about credentials: a registry and an ssh server in the test machine, which only job 1 may use."""

import json

PASSWORD = "registry-password-of-job-one"
SOURCES = "/etc/scratchd/credentials"
CONFIG = """[[credential]]
name = "images"
kind = "registry"
registry = "localhost:5000"
username = "robot"
users = ["alice"]
[[credential]]
name = "deploy"
kind = "ssh"
users = ["alice"]
"""
REGISTRY = {
    "version": 0.1, "log": {"level": "info"}, "storage": {"filesystem": {"rootdirectory": "/run/services/store"}},
    "http": {"addr": "127.0.0.1:5000", "tls": {"certificate": "/run/services/ca.pem", "key": "/run/services/tls.key"}},
    "auth": {"htpasswd": {"realm": "demo", "path": "/run/services/htpasswd"}},
}  # fmt: skip
IMAGE = """cd /run/services; mkdir image; head -c 10240 /dev/zero > image/layer
sum() { sha256sum "image/$1" | cut -d' ' -f1; }
layer=$(sum layer)
printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $layer > image/config
config=$(sum config)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%s,"digest":"sha256:%s"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":10240,"digest":"sha256:%s"}]}' $(stat -c %s image/config) $config $layer > image/manifest.json
mv image/layer image/$layer; mv image/config image/$config; echo 'Directory Transport Version: 1.1' > image/version
"""
SSHD = ("-D -e -p 22 -h /run/services/host -o ListenAddress=127.0.0.1 -o UsePAM=no -o StrictModes=no -o PidFile=none "
        "-o AuthorizedKeysFile=/run/services/authorized").split()  # fmt: skip


class Services:
    """Both servers, in the test machine, from `start()` on. `stop()` ends them: they stand for other machines, whose memory no thief of this one has."""

    def __init__(self, node):
        self.node = node
        node.sh(f"ip link set lo up; mkdir -p /run/services /run/sshd {SOURCES}; chmod 755 /run/services /run/sshd; chmod 700 {SOURCES}; {IMAGE}")
        node.write_unseen(f"{SOURCES}/images", PASSWORD)
        node.sh(
            f"cd /run/services; htpasswd -niB robot < {SOURCES}/images > htpasswd 2> /dev/null; "
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
            "-keyout tls.key -out ca.pem 2> /dev/null; ssh-keygen -q -t ed25519 -N '' -f host; "
            f"ssh-keygen -q -t ed25519 -N '' -f {SOURCES}/deploy; mv {SOURCES}/deploy.pub authorized; chmod 644 authorized; "
            'echo "127.0.0.1 $(cat host.pub)" > known'
        )
        node.machine.write("/run/services/registry.json", json.dumps(REGISTRY))
        self.key = node.read_unseen(f"sed -n 3p {SOURCES}/deploy")

    def start(self):
        node = self.node
        self.registry = node.machine.spawn(["docker-registry", "serve", "/run/services/registry.json"]).wait_line("listening on", timeout=30, stream="err")
        self.sshd = node.machine.spawn(["/usr/sbin/sshd", *SSHD]).wait_line("Server listening", timeout=30, stream="err")

    def stop(self):
        self.registry.kill(9)
        self.sshd.kill(9)


def as_user(node, uid, env, *argv):
    """A process of a user with nothing in its environment but paths."""
    env = {"PATH": f"{node.ctl_program.rsplit('/', 1)[0]}:/usr/bin:/bin", "SSL_CERT_FILE": "/run/services/ca.pem", **env}
    drop = ["env", "-i", *[f"{k}={v}" for k, v in env.items()], "setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"]
    return node.machine.run([*drop, *argv], codes=None, timeout=30)


def pushes(node, uid, env):
    return as_user(node, uid, env, "skopeo", "--insecure-policy", "copy", "-q", "dir:/run/services/image", "docker://localhost:5000/alice/model:1").code == 0


def logs_in(node, uid, env):
    shell = as_user(node, uid, env, "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/run/services/known", "alice@127.0.0.1", "id -un")
    return shell.out == "alice\n"


def in_environments(node, services):
    """How many processes have the password or the key in their environment or arguments."""
    node.write_unseen("/run/needles", f"{PASSWORD}\n{services.key}\n")
    found = node.sh("grep -aFlsf /run/needles /proc/[0-9]*/environ /proc/[0-9]*/cmdline | wc -l; rm /run/needles").out
    return int(found)
