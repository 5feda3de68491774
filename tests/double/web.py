"""HTTP/1.1 as far as the double needs it: requests read, responses written, both with limits."""

import json
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_LIMIT, BODY_LIMIT = 64 << 10, 1 << 20


class BadRequest(Exception):
    """What arrived is not a request."""


@dataclass
class Request:
    method: str
    target: str
    headers: dict  # names in lower case
    body: bytes = b""
    host: str = ""  # the name or address that was connected to
    connection: int = 0
    path: str = field(init=False)
    query: list = field(init=False)  # pairs, in order: a name may be there twice

    def __post_init__(self):
        parts = urlsplit(self.target)
        self.path = unquote(parts.path)
        self.query = parse_qsl(parts.query, keep_blank_values=True)

    def value(self, name):
        return next((v for k, v in self.query if k == name), "")

    def form(self):
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def bearer(self):
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass
class Response:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    @staticmethod
    def of(status, content, **headers):
        """A JSON response as the services write it: no spaces, the length exact."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(content, separators=(",", ":")).encode()
        return Response(status, {"Content-Type": "application/json; charset=utf-8", **names}, body)

    def with_headers(self, headers):
        return Response(self.status, {**self.headers, **headers}, self.body)

    def edited(self, edit):
        """The same with its JSON changed by `edit`."""
        content = json.loads(self.body)
        return Response(self.status, self.headers, json.dumps(edit(content) or content, separators=(",", ":")).encode())

    def head(self, length=None):
        words = HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else "Status"
        headers = {"Date": formatdate(usegmt=True), **self.headers}
        if length is not False:
            headers["Content-Length"] = len(self.body) if length is None else length
        lines = [f"HTTP/1.1 {self.status} {words}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def bytes(self):
        return self.head() + self.body


def read_request(stream, host, connection):
    """The next request of a connection; None at its end. `stream` is a buffered reader."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(HEAD_LIMIT)
        if not line:
            if head:
                raise BadRequest("the head is cut short")
            return None
        head += line
        if len(head) > HEAD_LIMIT:
            raise BadRequest("the head is too long")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(f"not a request: {first[:80]}")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadRequest(f"not a header: {line[:80]}")
        headers[name.lower()] = value.strip()
    return Request(words[0], words[1], headers, _body(stream, headers), host, connection)


def _body(stream, headers):
    try:
        return _measured_body(stream, headers)
    except ValueError:
        raise BadRequest("the body has no proper length") from None


def _measured_body(stream, headers):
    if headers.get("transfer-encoding", "").lower() != "chunked":
        size = int(headers.get("content-length", "0"))
        if size > BODY_LIMIT:
            raise BadRequest("the body is too long")
        return stream.read(size)
    body = b""
    while size := int(stream.readline(HEAD_LIMIT).split(b";")[0], 16):
        body += stream.read(size)
        stream.readline(HEAD_LIMIT)
        if len(body) > BODY_LIMIT:
            raise BadRequest("the body is too long")
    while stream.readline(HEAD_LIMIT).strip():
        pass
    return body
