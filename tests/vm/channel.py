"""The host's end of the control channel to a guest's agent (guest/frame.hpp is the other end)."""

import os
import queue
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass

HEADER = struct.Struct("<IBI")
WINDOW = 2048
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


class GuestGone(Exception):
    """The guest ended, or its agent closed the channel, while something was still awaited."""


@dataclass
class Outcome:
    """What a command in the guest did. `code` is its exit code, or minus the signal that ended it."""

    argv: list
    code: int
    out: str
    err: str
    seconds: float

    def expect(self, *codes):
        if self.code not in (codes or (0,)):
            raise AssertionError(
                f"{' '.join(self.argv)} gave {self.code}, expected {codes or (0,)}\n"
                f"--- stdout\n{self.out}\n--- stderr\n{self.err}"
            )
        return self


class Process:
    """A command running in the guest."""

    def __init__(self, channel, ident, argv):
        self.channel, self.ident, self.argv = channel, ident, argv
        self.events = queue.Queue()
        self.out, self.err = bytearray(), bytearray()
        self.code = None
        self.started = time.monotonic()

    def input(self, data):
        for start in range(0, len(data), 32768):
            self.channel.send("I", self.ident, data[start : start + 32768])

    def close_input(self):
        self.channel.send("I", self.ident, b"")

    def kill(self, number=signal.SIGKILL):
        self.channel.send("K", self.ident, struct.pack("<I", number))

    def _next(self, deadline):
        left = deadline - time.monotonic()
        try:
            kind, payload = self.events.get(timeout=max(left, 0.001))
        except queue.Empty:
            raise TimeoutError(
                f"no end or output in time: {' '.join(self.argv)}\n--- stdout\n{self.out.decode(errors='replace')}"
                f"\n--- stderr\n{self.err.decode(errors='replace')}"
            ) from None
        if kind == "O":
            self.out += payload
        elif kind == "E":
            self.err += payload
        elif kind == "R":
            self.code = struct.unpack("<i", payload)[0]
        else:
            raise GuestGone(f"the guest went away ({self.channel.why}) during: {' '.join(self.argv)}")

    def poll(self, seconds):
        """Takes in what arrives within this time."""
        try:
            self._next(time.monotonic() + seconds)
        except TimeoutError:
            pass

    def wait(self, timeout=60):
        """Waits for the end and returns its Outcome."""
        deadline = time.monotonic() + timeout
        while self.code is None:
            self._next(deadline)
        text = [b.decode(errors="replace") for b in (self.out, self.err)]
        return Outcome(self.argv, self.code, text[0], text[1], time.monotonic() - self.started)

    def wait_line(self, *needles, timeout=30, stream="out"):
        """Waits until the output holds one of `needles`: the event a test goes on after."""
        deadline = time.monotonic() + timeout
        while not any(n.encode() in (self.out if stream == "out" else self.err) for n in needles):
            if self.code is not None:
                raise AssertionError(f"ended ({self.code}) without {needles}: {self.err.decode(errors='replace')}")
            self._next(deadline)
        return self


class Channel:
    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Lock()
        self.window = threading.Condition()
        self.unread = 0  # bytes on their way; a terminal in the fast machine drops what exceeds its buffer
        self.processes = {}
        self.last = 0
        self.up = threading.Event()
        self.gone = False
        self.why = "closed"
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, kind, ident, payload=b""):
        data = HEADER.pack(len(payload), ord(kind), ident) + payload
        with self.lock:
            for start in range(0, len(data), WINDOW):
                piece = data[start : start + WINDOW]
                with self.window:
                    if not self.window.wait_for(lambda: self.gone or self.unread + len(piece) <= WINDOW, 30):
                        raise GuestGone("the guest's agent reads no more")
                    self.unread += len(piece)
                try:
                    self.sock.sendall(piece)
                except OSError as problem:
                    raise GuestGone(str(problem)) from None

    def wait_up(self, timeout, ask=False, panicked=lambda: False):
        # A machine from a snapshot has an agent that still believes in its last connection: ask until it answers. A
        # machine that boots says so by itself, and its terminal would echo what comes before the agent.
        deadline = time.monotonic() + timeout
        while not self.gone and not self.up.is_set() and time.monotonic() < deadline:
            if ask and self.unread < WINDOW // 2:
                self.send("B", 0)
            if self.up.wait(0.1) or panicked():
                break
        if self.gone or not self.up.is_set():
            raise GuestGone("the guest's agent did not answer")

    def spawn(self, argv, env=None, cwd="/"):
        """Starts a command; returns its Process."""
        argv = [os.fspath(a) if not isinstance(a, str) else a for a in argv]
        environment = [f"{k}={v}" for k, v in {**ENVIRONMENT, **(env or {})}.items()]
        process = self._register(argv)
        ident = process.ident
        self.send("X", ident, _strings(argv) + _strings(environment) + _text(cwd))
        return process

    def reseed(self, timeout=10):
        """Gives the guest the host's time and fresh entropy: restored guests share their random state."""
        now = time.time_ns()
        process = self._register(["reseed"])
        self.send("S", process.ident, struct.pack("<qq", now // 10**9, now % 10**9) + os.urandom(64))
        process.wait(timeout).expect(0)

    def _register(self, argv):
        self.last += 1
        process = self.processes[self.last] = Process(self, self.last, argv)
        return process

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def _read(self):
        pending = bytearray()
        try:
            while data := self.sock.recv(1 << 16):
                pending += data
                while len(pending) >= HEADER.size:
                    length, kind, ident = HEADER.unpack_from(pending)
                    if len(pending) < HEADER.size + length:
                        break
                    payload = bytes(pending[HEADER.size : HEADER.size + length])
                    del pending[: HEADER.size + length]
                    self._dispatch(chr(kind), ident, payload)
        except OSError as problem:
            self.why = str(problem)
        self.gone = True
        self.up.set()
        with self.window:
            self.window.notify_all()
        for process in list(self.processes.values()):
            process.events.put(("gone", b""))

    def _dispatch(self, kind, ident, payload):
        if kind in "AB":  # an ack has a count of bytes where other frames have a process
            with self.window:
                self.unread = 0 if kind == "B" else max(0, self.unread - ident)
                self.window.notify_all()
            if kind == "B":
                self.up.set()
        elif ident in self.processes:
            self.processes[ident].events.put((kind, payload))
            if kind == "R":
                del self.processes[ident]


def _text(value):
    data = value.encode(errors="surrogateescape")
    return struct.pack("<I", len(data)) + data


def _strings(values):
    return struct.pack("<I", len(values)) + b"".join(_text(v) for v in values)
