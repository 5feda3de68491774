"""What both test machines have in common: run commands, scan disks and RAM, judge the kernel log."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from channel import GuestGone

BIN = pathlib.Path(os.environ.get("SCRATCHD_BIN", pathlib.Path(__file__).parents[2] / "build/dev/bin"))
COMPLAINT = re.compile(r"BUG:|Oops|WARNING: CPU|Kernel panic|Call Trace|general protection|UBSAN|KASAN|INFO: task .* blocked")


class MachineError(Exception):
    """The machine itself failed, not what is tested in it."""


class Machine:
    kind = "?"

    def __init__(self, keep=False):
        self.keep = keep
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="scratchd-vm-", dir=os.environ.get("SCRATCHD_VM_DIR", "/var/tmp")))
        self.kernel_log = self.folder / "kernel.log"
        self.allowed_complaints = None  # a pattern, where a test provokes the kernel on purpose

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(check=kind is None)

    def spawn(self, argv, **how):
        """Starts a command in the guest; returns a channel.Process."""
        return self.channel.spawn(argv, **how)

    def run(self, argv, timeout=60, codes=(0,), input=None, **how):
        """Runs a command in the guest; demands one of `codes` unless that is None."""
        process = self.spawn(argv, **how)
        if input is not None:
            process.input(input)
        process.close_input()
        try:
            outcome = process.wait(timeout)
        except GuestGone as gone:
            raise GuestGone(f"{gone}\n{self.last_words()}") from None
        return outcome if codes is None else outcome.expect(*codes)

    def json(self, argv, **how):
        return json.loads(self.run(argv, **how).out)

    def write(self, path, data, mode=0o644):
        data = data.encode() if isinstance(data, str) else data
        self.run(["sh", "-c", f'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod {mode:o} "$1"', "sh", path], input=data)

    def read(self, path):
        return self.run(["cat", path]).out

    def last_words(self):
        """What the emulator and the kernel said last, for a machine that went away."""
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            code = "still running"
        return f"emulator: {code}\n{self.kernel_text()[-2000:]}"

    def kernel_text(self):
        try:
            return self.kernel_log.read_text(errors="replace")
        except OSError:
            return ""

    def complaints(self):
        lines = [l for l in self.kernel_text().splitlines() if COMPLAINT.search(l)]
        return [l for l in lines if not (self.allowed_complaints and re.search(self.allowed_complaints, l))]

    def scan(self, *arguments):
        """Runs the scanner over a dump or a disk; returns its JSON."""
        out = subprocess.run([str(BIN / "scan"), *map(str, arguments)], check=True, capture_output=True)
        return json.loads(out.stdout)

    def close(self, check=True):
        """Ends the guest. A kernel that complained fails the test."""
        self._stop()
        complaints = self.complaints()
        if not self.keep and not (check and complaints):
            shutil.rmtree(self.folder, ignore_errors=True)
        if check and complaints:
            raise AssertionError(f"the guest's kernel complained ({self.kernel_log}):\n" + "\n".join(complaints[:10]))


def sparse_disk(path, size):
    """Makes an empty raw disk; `size` in bytes."""
    with open(path, "wb") as file:
        file.truncate(size)
    return pathlib.Path(path)
