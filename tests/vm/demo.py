"""The product in one screen: ./dev demo.

Two strangers' jobs run on one node, with scratchd and without. Then a thief takes the disks and the memory.
"""

import json
import os
import sys
import time

import demo_credentials as credentials
from machine import BIN
from node import MIB, Node

SECRET = "alice-patient-record-4711"
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
TWO_DISKS = """[workspace]
hbi = true
[scratch]
disks = ["/dev/disk/by-id/virtual-scratch-a", "/dev/disk/by-id/virtual-scratch-b"]
""" + credentials.CONFIG


def hidden(text):
    """The text with each byte one up: what writes it takes it down again, so it stands in nobody's arguments."""
    return "".join(chr(ord(c) + 1) for c in text)


class Show:
    """Prints steps and checks as they happen, or collects them for --json."""

    def __init__(self, as_json):
        self.as_json, self.checks, self.started = as_json, [], time.monotonic()

    def step(self, words):
        if not self.as_json:
            print(f"\n{time.monotonic() - self.started:5.1f} s  {words}", flush=True)

    def check(self, ok, words):
        self.checks.append({"ok": bool(ok), "what": words})
        if not self.as_json:
            sign = ("\033[32m✓\033[0m" if ok else "\033[31m✗\033[0m") if COLOUR else ("ok  " if ok else "FAIL")
            print(f"         {sign} {words}", flush=True)

    def end(self):
        good = sum(c["ok"] for c in self.checks)
        passed = good == len(self.checks) and good > 0
        seconds = time.monotonic() - self.started
        if self.as_json:
            print(json.dumps({"passed": passed, "checks": self.checks, "seconds": round(seconds, 1)}, indent=1))
        else:
            print(f"\n{'PASS' if passed else 'FAIL'}: {good} of {len(self.checks)} checks, {seconds:.1f} s")
        return 0 if passed else 1


def without(show, node):
    show.step("Without scratchd: alice's job writes a secret to a plain disk, and cleans up after itself")
    node.sh("mke2fs -q -F -t ext4 /dev/ubdc; mkdir -p /mnt/plain; mount /dev/ubdc /mnt/plain; install -d -o 1001 -m 700 /mnt/plain/1")
    node.as_user([node.habits, "canaries", "/mnt/plain/1", hidden(SECRET), 16]).wait(60).expect()
    node.sh("rm -rf /mnt/plain/1; sync; umount /mnt/plain")
    hits = node.scan_disks(SECRET, disks=node.disks[2:])[SECRET]
    show.check(hits > 0, f"the thief finds the deleted secret {hits:,} times on the plain disk")


def jobs(show, node, services):
    show.step("With scratchd: the daemon encrypts two disks as one volume")
    node.start_broker()
    node.start()
    now = node.status()
    volume = now["volume"]
    show.check(now["state"] == "ready", f"{volume['mount']}: {volume['cipher']}, {volume['key_bits']}-bit key, {len(volume['devices'])} disks")
    show.check(":64:logon:" in node.sh("dmsetup table --showkeys").out, "the key stands in no table: not even root can read it back")

    show.step("Job 1: alice writes the same secret and leaves processes behind")
    group = node.cgroup("job1")
    names = ("--credential", "images", "--credential", "deploy")
    env = node.ctl_json("job", "begin", "1", "--user", "alice", "--cgroup", group, *names)["env"]
    node.as_user([node.habits, "canaries", "/mnt/scratch/1", hidden(SECRET), 16], cgroup=group).wait(60).expect()
    name = node.sh("ls /mnt/scratch/1 | head -1").out.strip()
    node.misbehave("stubborn", 10, cgroup=group)
    node.misbehave("hold", f"/mnt/scratch/1/{name}", cgroup=node.cgroup("elsewhere"))
    node.misbehave("user-namespace", cgroup="/sys/fs/cgroup/elsewhere")
    node.sh("sync")
    keys = node.schedules()
    show.check(len(keys) == 2, "her key is in memory, as the two AES schedules that the kernel works with")
    show.check(node.scan_disks(SECRET, disks=node.disks[:2])[SECRET] == 0, "nothing readable on the disks, even while she works")

    show.step("Job 1 uses its credentials: an image into a registry, a login over ssh")
    services.start()
    show.check(credentials.pushes(node, 1001, env), "docker-credential-scratchd gave her the registry's password")
    show.check(credentials.logs_in(node, 1001, env), "the ssh key signs for her, and never leaves the broker")
    show.check(not credentials.pushes(node, 1002, env) and not credentials.logs_in(node, 1002, env), "bob gets neither, though he knows where they are")
    show.check(credentials.in_environments(node, services) == 0, "no process has either in its environment or arguments")

    show.step("Job 1 ends")
    ended = node.end("1")
    gone = ended["residue"]
    show.check(all(c["ok"] for c in ended["checks"]), f"wiped and proven in {ended['duration_seconds']:.2f} s: record {ended['sequence']}, {len(ended['checks'])} checks")
    show.check(gone["processes"] == 11 and gone["holders"] == 1 and gone["namespaces"] == 1,
               f"{gone['processes'] + gone['holders']} processes killed, {gone['namespaces']} hidden mount namespace emptied")  # fmt: skip
    return keys, env


def stranger(show, node, env):
    show.step("Job 2: bob looks for what alice left")
    node.begin("2", "bob")
    found = node.sh(f"ls -A /mnt/scratch/2; find /mnt/scratch -user 1001; pgrep -u 1001 || grep -rs {SECRET} /mnt/scratch /tmp /dev/shm || true").out
    show.check(found == "", "no file, no process, no trace")
    refused = node.ctl("job", "begin", "3", "--user", "bob", "--credential", "deploy", codes=None)
    show.check(refused.code == 4 and "E0091" in refused.err, "asks for alice's credential, and is refused")
    used = [use(node, uid, env) for use in (credentials.pushes, credentials.logs_in) for uid in (1001, 1002)]
    show.check(not any(used), "alice's credentials work for nobody any more, not even for her")
    node.end("2")


def thief(show, node, services, keys):
    show.step("The thief takes the disks and the memory")
    services.stop()
    # A vault keeps them elsewhere; the demo's are files of root.
    node.sh(f"rm {credentials.SOURCES}/*; sync; echo 3 > /proc/sys/vm/drop_caches")
    show.check(node.scan_disks(SECRET, disks=node.disks[:2])[SECRET] == 0, "the secret is 0 times on the disks")
    show.check(set(node.ram_hits(*keys).values()) == {0}, "alice's key is 0 times in memory, whole or in part")
    words = [credentials.PASSWORD, services.key]
    show.check(set(node.ram_hits(text=words).values()) == {0}, "the registry's password and the ssh key are 0 times in memory")
    node.stop()
    show.check(node.schedules() == [], "with the daemon stopped, memory holds no key at all")

    show.step("The auditor reads the records")
    show.check(node.ctl("report", "verify").code == 0, "every wipe is recorded, signed and chained")
    node.sh("chmod u+w /var/lib/scratchd/records/00000003.json; sed -i s/clean/CLEAN/ /var/lib/scratchd/records/00000003.json")
    broken = node.ctl("report", "verify", codes=None)
    show.check(broken.code == 7 and "00000003.json" in broken.err, "one changed word is found, and its record named")


def main():
    show = Show("--json" in sys.argv)
    show.step("Booting the test machine: a real kernel with three empty disks")
    with Node(disks=3, size=256 * MIB, config=TWO_DISKS, extra="init_on_free=1") as node:
        kernel = node.sh("uname -r").out.strip()
        show.check(True, f"Linux {kernel}")
        without(show, node)
        services = credentials.Services(node)
        keys, env = jobs(show, node, services)
        stranger(show, node, env)
        thief(show, node, services, keys)
    return show.end()


if __name__ == "__main__":
    if not (BIN / "scratchd").exists():
        sys.exit("not built: ./dev build")
    sys.exit(main())
