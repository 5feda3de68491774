"""What can go wrong between a client and a service, each as a function that writes to the connection.

A fault takes an Exchange: the request, the connection, and `true()`, the response it would have had. It returns the
status that was sent, or 0; one that is not a whole response closes the connection by raising Closed.
"""

import json
import socket
import struct

from web import Response

MIB = 1 << 20


class Closed(Exception):
    """The connection is over; the status that was sent goes into the record."""

    def __init__(self, status=0):
        self.status = status


def _whole(change):
    """A fault that is a whole response, computed from the true one or from the service."""

    def fault(exchange):
        response = change(exchange)
        exchange.send(response.bytes())
        return response.status

    return fault


def respond(response):
    return _whole(lambda exchange: response)


def status(code, retry_after=None, body=None, headers=None):
    """A status with the service's usual words for it. Key Vault sends no Retry-After with a 429: give one to have one."""

    def change(exchange):
        response = exchange.service.failure(code, exchange.request)
        if body is not None:
            response = Response(code, response.headers, body if isinstance(body, bytes) else json.dumps(body).encode())
        more = {} if retry_after is None else {"Retry-After": retry_after}
        return response.with_headers({**more, **(headers or {})})

    return _whole(change)


def empty(code=200):
    return respond(Response(code, {"Content-Type": "application/json; charset=utf-8"}))


def html(code=200):
    page = f"<html><head><title>{code}</title></head><body><h1>{code}</h1><hr>Microsoft-Azure-Application-Gateway/v2</body></html>"
    return respond(Response(code, {"Content-Type": "text/html"}, page.encode()))


def redirect(to, code=302):
    return respond(Response(code, {"Location": to}))


def challenge(header, code=401):
    """A refusal with this WWW-Authenticate; several are allowed."""

    def fault(exchange):
        response = exchange.service.failure(code, exchange.request)
        lines = [header] if isinstance(header, str) else header
        exchange.send(response.with_headers({"WWW-Authenticate": "\r\nWWW-Authenticate: ".join(lines)}).bytes())
        return code

    return fault


def rewrite(edit):
    """The true answer, its JSON changed by a function."""
    return _whole(lambda exchange: exchange.true().edited(edit))


def wrong_type(*names, value=17):
    return rewrite(lambda content: {**content, **{n: value for n in names}})


def without(*names):
    return rewrite(lambda content: {k: v for k, v in content.items() if k not in names})


def wrong_id(identifier):
    return rewrite(lambda content: {**content, "id": identifier})


def duplicate_key(name, first):
    """The true answer, with `name` once more in front, with another value."""

    def change(exchange):
        true = exchange.true()
        again = json.dumps({name: first}, separators=(",", ":")).encode()[:-1]
        return Response(true.status, true.headers, again + b"," + true.body[1:])

    return _whole(change)


def raw(body, code=200):
    return respond(Response(code, {"Content-Type": "application/json; charset=utf-8"}, body))


def deep(depth=200_000, closed=True):
    return raw(b'{"value":' + b"[" * depth + (b"]" * depth + b"}" if closed else b""))


def oversized(size=64 * MIB, declared=True):
    """A body of this size, as one long string; undeclared it ends with the connection."""

    def fault(exchange):
        head, tail = b'{"value":"', b'"}'
        response = Response(200, {"Content-Type": "application/json; charset=utf-8"})
        exchange.send(response.head(size if declared else False) + head)
        left = size - len(head) - len(tail)
        while left:
            piece = min(left, MIB)
            exchange.send(b"a" * piece)
            left -= piece
        exchange.send(tail)
        if not declared:
            raise Closed(200)
        return 200

    return fault


def endless(exchange):
    """Chunks without end, until the client has had enough."""
    exchange.send(Response(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}).head(False))
    exchange.send(b'b\r\n{"value": "\r\n')
    while True:
        exchange.send(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")


def many_headers(count=10_000, size=100):
    return _whole(lambda exchange: exchange.true().with_headers({f"X-Filler-{n}": "a" * size for n in range(count)}))


def truncated(exchange):
    """Half of the body that was announced, then an orderly end."""
    true = exchange.true()
    exchange.send(true.head() + true.body[: len(true.body) // 2])
    raise Closed(true.status)


def reset(exchange):
    """Half of the body, then a reset."""
    true = exchange.true()
    exchange.send(true.head() + true.body[: len(true.body) // 2])
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Closed(true.status)


def drip(interval=0.05, size=1):
    """The true answer, so many bytes at a time."""

    def fault(exchange):
        true = exchange.true()
        data = true.bytes()
        for start in range(0, len(data), size):
            exchange.send(data[start : start + size])
            if exchange.closing.wait(interval):
                raise Closed(true.status)
        return true.status

    return fault


def hang(exchange):
    """No answer, until the client goes away or the double ends."""
    exchange.wait_gone()
    raise Closed(0)


def late(event):
    """The true answer, but not before `event` is set: to hold requests together."""

    def fault(exchange):
        while not event.wait(0.02):
            if exchange.closing.is_set():
                raise Closed(0)
        true = exchange.true()
        exchange.send(true.bytes())
        return true.status

    return fault
