"""A plain client of the double, for tests of the double itself."""

import http.client
import json
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit


@dataclass
class Reply:
    status: int
    headers: dict  # names in lower case
    body: bytes

    def json(self):
        return json.loads(self.body)


class Client:
    """One connection; `get` and `post` may be called again on it."""

    def __init__(self, azure, url, timeout=20, context=None):
        parts = urlsplit(url)
        self.base = f"{parts.scheme}://{parts.netloc}"
        secure = parts.scheme == "https"
        self.socket = azure.namespace.connect(parts.hostname, parts.port or (443 if secure else 80), timeout)
        if secure:
            context = context or ssl.create_default_context(cafile=azure.certificates.ca)
            try:
                self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
            except OSError:
                self.socket.close()
                raise
        self.http = http.client.HTTPConnection(parts.netloc, timeout=timeout)
        self.http.sock = self.socket

    def ask(self, method, target, headers=None, body=None):
        self.http.request(method, target, body, headers or {})
        response = self.http.getresponse()
        return Reply(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())

    def close(self):
        self.http.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


def get(azure, url, token=None, headers=None, **how):
    """One request on a connection of its own."""
    headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    parts = urlsplit(url)
    with Client(azure, url, **how) as client:
        return client.ask("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path, headers)


def post(azure, url, form, headers=None, **how):
    headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    with Client(azure, url, **how) as client:
        return client.ask("POST", urlsplit(url).path, headers, urlencode(form))
