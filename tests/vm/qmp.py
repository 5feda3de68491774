"""QEMU's machine protocol, as much of it as the tests use."""

import json
import socket
import time


class QmpError(Exception):
    pass


class Qmp:
    def __init__(self, path, timeout=10):
        deadline = time.monotonic() + timeout
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(str(path))
                break
            except OSError:
                self.sock.close()
                if time.monotonic() > deadline:
                    raise QmpError("QEMU did not start") from None
                time.sleep(0.01)
        self.file = self.sock.makefile("r")
        self.events = []
        self._line()  # the greeting
        self.run("qmp_capabilities")

    def _line(self):
        line = self.file.readline()
        if not line:
            raise QmpError("QEMU closed its control socket")
        return json.loads(line)

    def run(self, command, **arguments):
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._line()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait_event(self, name, timeout=30):
        self.sock.settimeout(timeout)
        try:
            while not any(e["event"] == name for e in self.events):
                self.events.append(self._line())
        finally:
            self.sock.settimeout(None)
        self.events = [e for e in self.events if e["event"] != name]

    def migrated(self, timeout=60):
        """Waits for the migration that was started to complete."""
        deadline = time.monotonic() + timeout
        while True:
            state = self.run("query-migrate").get("status")
            if state == "completed":
                return
            if state in ("failed", "cancelled") or time.monotonic() > deadline:
                raise QmpError(f"migration: {state}")
            time.sleep(0.01)

    def close(self):
        self.sock.close()
