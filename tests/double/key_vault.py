"""Key Vault's data plane: secrets, their versions, managed certificates, and every way to be refused."""

import base64
import os
import re
import time
from dataclasses import dataclass, field

from certs import pfx
from tokens import new_id
from web import Response

PAGE = 25
INNER = {
    "ForbiddenByRbac": "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions "
    "were changed recently, please observe propagation time.\r\nAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n"
    "DecisionReason: 'DeniedWithNoValidRBAC' \r\n",
    "ForbiddenByPolicy": "The user, group or application does not have secrets get permission on the key vault.",
    "ForbiddenByFirewall": "Client address is not authorized and caller is not a trusted service.",
    "ForbiddenByConnection": "Public network access is disabled and request is not from a trusted service nor via an approved private link.",
    "SecretDisabled": "Operation get is not allowed on a disabled secret.",
}
FAILURES = {
    429: ("Throttled", "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"),
    401: ("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token."),
    403: ("Forbidden", "Access denied"),
    409: ("Conflict", "Secret is currently being deleted."),
    500: ("InternalServerError", "Internal server error."),
    503: ("ServiceUnavailable", "Service unavailable."),
}


@dataclass
class Secret:
    value: str
    content_type: str | None = None
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    tags: dict | None = None
    managed: bool = False
    version: str = field(default_factory=lambda: os.urandom(16).hex())
    created: int = field(default_factory=lambda: int(time.time()))

    def attributes(self):
        limits = {"nbf": self.not_before, "exp": self.expires}
        return {"enabled": self.enabled, **{k: v for k, v in limits.items() if v is not None}, "created": self.created,
                "updated": self.created, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}  # fmt: skip

    def view(self, vault, name, value=True, version=True):
        """As the service writes it: the key order is the recorded one, what is absent is left out."""
        where = f"{name}/{self.version}" if version else name
        parts = {
            "value": self.value if value else None, "contentType": self.content_type, "id": f"https://{vault}/secrets/{where}",
            "managed": True if self.managed else None, "attributes": self.attributes(), "tags": {} if self.managed else self.tags,
            "kid": f"https://{vault}/keys/{name}/{self.version}" if self.managed and value else None,
        }  # fmt: skip
        return {k: v for k, v in parts.items() if v is not None}


class KeyVault:
    """One vault: `host` is its name in DNS. The secrets of a name are in the order they were set."""

    def __init__(self, host, resource, authority, tokens):
        self.name, self.host, self.resource, self.authority, self.tokens = "vault", host, resource, authority, tokens
        self.secrets, self.deleted, self.forbidden = {}, {}, {}

    def set(self, name, value, **how):
        """A new version of a secret; returns it, and a test may change its fields."""
        secret = Secret(value, **how)
        self.secrets.setdefault(name, []).append(secret)
        return secret

    def certificate(self, name, key, certificate, form="application/x-pkcs12", **how):
        """A managed certificate, as its secret: PKCS#12 without password, or PEM."""
        pem = key.read_text() + certificate.read_text()
        value = pem if form == "application/x-pem-file" else base64.b64encode(pfx(key, certificate)).decode()
        return self.set(name, value, content_type=form, managed=True, not_before=int(time.time()) - 600, expires=int(time.time()) + 86400 * 365, **how)

    def newest(self, name):
        return self.secrets[name][-1]

    def delete(self, name):
        self.deleted[name] = self.secrets.pop(name)

    def recover(self, name):
        self.secrets[name] = self.deleted.pop(name)

    def forbid(self, name="*", code="ForbiddenByRbac"):
        """From now on 403 with this inner code; None allows it again."""
        self.forbidden[name] = code

    def answer(self, request):
        token = request.bearer()
        message = self.tokens.wrong(token, [self.resource]) if token else FAILURES[401][1]
        response = self._error(401, "Unauthorized", message) if message else self._authorised(request)
        return response.with_headers(self._headers(request))

    def _authorised(self, request):
        if not request.value("api-version"):
            return self._error(400, "BadParameter", "api-version must be specified")
        if request.method == "GET":
            parts = [p for p in request.path.split("/") if p]
            if parts == ["secrets"]:
                return self._list(request)
            if parts[:1] == ["secrets"] and len(parts) == 3 and parts[2] == "versions":
                return self._versions(request, parts[1])
            if parts[:1] == ["secrets"] and len(parts) in (2, 3):
                return self._get(*parts[1:])
            if parts[:1] == ["deletedsecrets"] and len(parts) == 2:
                return self._deleted(parts[1])
        return Response(404, {"Content-Type": "text/html"}, b"")

    def _get(self, name, version=""):
        if not re.fullmatch(r"[0-9a-zA-Z-]{1,127}", name):
            return self._error(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        if inner := self.forbidden.get(name) or self.forbidden.get("*"):
            return self._error(403, "Forbidden", INNER[inner], inner)
        name = next((n for n in self.secrets if n.lower() == name.lower()), name)
        found = [s for s in self.secrets.get(name, []) if version in ("", s.version)]
        if not found:
            return self._error(404, "SecretNotFound", f"A secret with (name/id) {name}{'/' + version if version else ''} was not found in this "
                               "key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. "
                               "For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182")  # fmt: skip
        if not found[-1].enabled:
            return self._error(403, "Forbidden", INNER["SecretDisabled"], "SecretDisabled")
        return Response.of(200, found[-1].view(self.host, name))

    def _page(self, request, path, entries):
        size = int(request.value("maxresults") or PAGE)
        try:
            start = int(base64.b64decode(request.value("$skiptoken") or "MA=="))
        except ValueError:
            return self._error(400, "BadParameter", "The skip token is not valid.")
        token = base64.b64encode(str(start + size).encode()).decode()
        asked = f"api-version={request.value('api-version')}&$skiptoken={token}&maxresults={size}"
        more = f"https://{self.host}:443/{path}?{asked}" if start + size < len(entries) else None
        return Response.of(200, {"value": entries[start : start + size], "nextLink": more})

    def _list(self, request):
        names = sorted(self.secrets)
        return self._page(request, "secrets", [self.newest(n).view(self.host, n, value=False, version=False) for n in names])

    def _versions(self, request, name):
        return self._page(request, f"secrets/{name}/versions", [s.view(self.host, name, value=False) for s in self.secrets.get(name, [])])

    def _deleted(self, name):
        if name not in self.deleted:
            return self._error(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        now, secret = int(time.time()), self.deleted[name][-1]
        dates = {"recoveryId": f"https://{self.host}/deletedsecrets/{name}", "deletedDate": now, "scheduledPurgeDate": now + 90 * 86400}
        return Response.of(200, {**dates, **secret.view(self.host, name, value=False)})

    @staticmethod
    def _error(status, code, message, inner=None):
        return Response.of(status, {"error": {"code": code, "message": message, **({"innererror": {"code": inner}} if inner else {})}})

    def failure(self, status, request):
        """The service's words for a status that a fault asks for."""
        code, message = FAILURES.get(status, ("BadParameter" if status < 500 else "InternalServerError", "Status of a test."))
        return self._error(status, code, message).with_headers(self._headers(request, status))

    def _headers(self, request, status=0):
        challenge = f'Bearer authorization="https://{self.authority}/{self.tokens.tenant}", resource="{self.resource}"'
        unauthorised = status == 401 or not status and (not request.bearer() or self.tokens.wrong(request.bearer(), [self.resource]))
        return {
            "Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1", **({"WWW-Authenticate": challenge} if unauthorised else {}),
            "x-ms-keyvault-region": "westeurope", "x-ms-client-request-id": request.headers.get("x-ms-client-request-id", new_id()),
            "x-ms-request-id": new_id(), "x-ms-keyvault-service-version": "1.9.2500.1",
            "x-ms-keyvault-network-info": "conn_type=Ipv4;addr=192.0.2.1;act_addr_fam=InterNetwork;", "X-Content-Type-Options": "nosniff",
            "Strict-Transport-Security": "max-age=31536000;includeSubDomains",
        }  # fmt: skip
