"""What the double was asked: for tests that count requests, or look for a token where none should be."""

import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from tokens import fingerprint

HASHED = ("authorization", "secret", "proxy-authorization")


@dataclass
class Record:
    service: str
    host: str  # the name or address that was connected to
    host_header: str
    method: str
    path: str
    query: list
    headers: dict  # those in HASHED by their fingerprint
    connection: int
    started: float
    in_flight: int  # requests of the service at its start, this one included
    audiences: list = field(default_factory=list)  # of the tokens it carried
    planted: list = field(default_factory=list)  # names of the planted secrets it carried
    status: int = 0  # 0: none was sent
    ended: float = 0.0


class Records:
    def __init__(self, tokens):
        self.tokens = tokens
        self.changed = threading.Condition(threading.RLock())
        self.all, self.broken, self.connections = [], [], {}
        self.running, self.planted = {}, {}

    def plant(self, name, secret):
        """From now on requests that carry this secret are marked with its name."""
        self.planted[name] = secret

    def begin(self, service, request):
        text = " ".join([request.target, unquote(request.target), *request.headers.values(), request.body.decode("latin-1")])
        text += " " + unquote(request.body.decode("latin-1"))
        headers = {n: (fingerprint(v) if n in HASHED else v) for n, v in request.headers.items()}
        audiences = [self.tokens.issued[t] for t in self.tokens.carried(text)]
        planted = [name for name, secret in self.planted.items() if secret in text]
        with self.changed:
            self.running[service] = self.running.get(service, 0) + 1
            record = Record(service, request.host, request.headers.get("host", ""), request.method, request.path, request.query, headers,
                            request.connection, time.monotonic(), self.running[service], audiences, planted)  # fmt: skip
            self.all.append(record)
            self.changed.notify_all()
        return record

    def end(self, record, status):
        with self.changed:
            record.status, record.ended = status, time.monotonic()
            self.running[record.service] -= 1
            self.changed.notify_all()

    def connected(self, host):
        with self.changed:
            self.connections[host] = self.connections.get(host, 0) + 1

    def broken_off(self, host, why):
        """A connection that came to no request: the client did not believe the server, or sent no HTTP."""
        with self.changed:
            self.broken.append((host, why))
            self.changed.notify_all()

    def of(self, service=None, path=None, host=None):
        """The requests to a service, to paths that start so, to a host."""
        with self.changed:
            return [r for r in self.all if service in (None, r.service) and host in (None, r.host) and r.path.startswith(path or "")]

    def wait(self, count, service=None, path=None, timeout=20, ended=False):
        """Waits until so many requests arrived (or were answered); returns them."""

        def enough():
            return len([r for r in self.of(service, path) if r.ended or not ended]) >= count

        with self.changed:
            if not self.changed.wait_for(enough, timeout):
                raise TimeoutError(f"{len(self.of(service, path))} of {count} requests to {service or 'any service'} {path or ''}")
        return self.of(service, path)

    def most_in_flight(self, service):
        return max((r.in_flight for r in self.of(service)), default=0)

    def gaps(self, service, path=None):
        """Seconds from each request's start to the next one's: how a client backs off."""
        starts = [r.started for r in self.of(service, path)]
        return [after - before for before, after in zip(starts, starts[1:])]

    def clear(self):
        with self.changed:
            self.all, self.broken, self.connections = [], [], {}
