"""Listens at every address of the double, with TLS where it belongs; answers, records, and applies faults."""

import select
import socket
import ssl
import struct
import threading
import warnings
from dataclasses import dataclass

import web
from faults import Closed


@dataclass
class Planned:
    """A fault that waits for requests. `used` counts those it met; `times` None means for ever."""

    action: object
    path: str
    times: int | None
    skip: int
    used: int = 0


class Exchange:
    def __init__(self, server, service, request, connection):
        self.service, self.request, self.connection, self.closing = service, request, connection, server.closing
        self.true = lambda: service.answer(request)

    def send(self, data):
        self.connection.sendall(data)

    def wait_gone(self):
        while not self.closing.is_set():
            if select.select([self.connection], [], [], 0.05)[0]:
                return


class Listener:
    """One address and port. `kind` is how it shows itself in TLS: one of certs.KINDS, or "tls1.1"; None without TLS."""

    def __init__(self, server, host, address, port, service, kind):
        self.server, self.host, self.address, self.port, self.service, self.kind = server, host, address, port, service, kind
        self.socket = None
        self.open()

    def open(self):
        if self.socket is None:
            self.socket = self.server.namespace.listen(self.address, self.port)
            self.server.start_thread(self._accept, self.socket)

    def close(self):
        """From now on the connection is refused."""
        if self.socket is not None:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
            self.socket.close()
            self.socket = None

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.server.start_thread(self.server.serve, self, connection)


class Server:
    def __init__(self, namespace, certificates, records):
        self.namespace, self.certificates, self.records = namespace, certificates, records
        self.closing, self.lock = threading.Event(), threading.Lock()
        self.listeners, self.planned, self.contexts = [], {}, {}
        self.connections, self.threads, self.count = set(), set(), 0

    def listen(self, host, address, port, service, tls=False):
        self.listeners.append(Listener(self, host, address, port, service, "good" if tls else None))

    def plan(self, service, action, times=1, path="", skip=0):
        planned = Planned(action, path, times, skip)
        with self.lock:
            self.planned.setdefault(service, []).append(planned)
        return planned

    def clear_plans(self):
        with self.lock:
            self.planned.clear()

    def _planned(self, service, request):
        with self.lock:
            for planned in self.planned.get(service.name, []):
                if request.path.startswith(planned.path) and (planned.times is None or planned.used < planned.times):
                    if planned.skip:
                        planned.skip -= 1
                        return None
                    planned.used += 1
                    return planned.action
        return None

    def start_thread(self, work, *arguments):
        def run():
            try:
                work(*arguments)
            finally:
                with self.lock:
                    self.threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        with self.lock:
            self.threads.add(thread)
        thread.start()

    def context(self, kind, host):
        with self.lock:
            if (kind, host) not in self.contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.certificates.server("good" if kind == "tls1.1" else kind, [host]))
                if kind == "tls1.1":
                    context.set_ciphers("DEFAULT@SECLEVEL=0")
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
                self.contexts[kind, host] = context
            return self.contexts[kind, host]

    def serve(self, listener, connection):
        self.records.connected(listener.host)
        with self.lock:
            self.count += 1
            number = self.count
            self.connections.add(connection)
        plain, stream = connection, None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if listener.kind:
                try:
                    connection = self.context(listener.kind, listener.host).wrap_socket(connection, server_side=True)
                except OSError as problem:
                    self.records.broken_off(listener.host, str(problem))
                    return
                with self.lock:
                    self.connections.discard(plain)
                    self.connections.add(connection)
            stream = connection.makefile("rb")
            while not self.closing.is_set() and (request := web.read_request(stream, listener.host, number)):
                self._exchange(listener.service, request, connection)
                if request.headers.get("connection", "").lower() == "close":
                    break
        except web.BadRequest as problem:
            self.records.broken_off(listener.host, str(problem))
            self._last_words(connection, web.Response(400, {"Connection": "close"}, str(problem).encode()))
        except (Closed, OSError):
            pass
        except ValueError:  # a file that close() closed
            if not self.closing.is_set():
                raise
        finally:
            with self.lock:
                self.connections.discard(connection)
                self.connections.discard(plain)
            self._end(connection, stream)

    def _exchange(self, service, request, connection):
        record, status = self.records.begin(service.name, request), 0
        exchange = Exchange(self, service, request, connection)
        try:
            action = self._planned(service, request)
            if action:
                status = action(exchange)
            else:
                response = exchange.true()
                status = response.status
                exchange.send(response.bytes())
        except Closed as end:
            status = end.status
            raise
        finally:
            self.records.end(record, status)

    @staticmethod
    def _last_words(connection, response):
        try:
            connection.sendall(response.bytes())
        except OSError:
            pass

    @staticmethod
    def _end(connection, stream):
        """An orderly end, unless a fault asked for a reset."""
        try:
            if not struct.unpack("ii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[0]:
                if isinstance(connection, ssl.SSLSocket):
                    connection.settimeout(0)
                    connection.unwrap()  # says goodbye, and does not wait for the other's
        except (OSError, ValueError):
            pass
        if stream:
            stream.close()
        connection.close()

    def close(self):
        self.closing.set()
        for listener in self.listeners:
            listener.close()
        with self.lock:
            left, threads = list(self.connections), list(self.threads)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in threads:
            thread.join(5)
