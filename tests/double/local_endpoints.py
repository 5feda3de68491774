"""The identity endpoints on a machine's own loopback: Azure Arc's, which proves itself by a file, and ML compute's."""

import base64
import os
import pathlib
import secrets

from imds import grant, refused
from tokens import new_id
from web import Response

ARC_FOLDER = "/var/opt/azcmagent/tokens"


class Arc:
    """http://127.0.0.1:40342. `folder` is where ARC_FOLDER of the node is reached from here."""

    name, port, path = "arc", 40342, "/metadata/identity/oauth2/token"

    def __init__(self, identities, tokens, resources, folder, reader_gid=0):
        self.identities, self.tokens, self.resources = identities, tokens, resources
        self.folder, self.reader_gid = pathlib.Path(folder), reader_gid
        self.outstanding = {}  # what a file holds: its name

    def answer(self, request):
        if request.path.rstrip("/") != self.path or request.method != "GET":
            return Response(404)
        if request.headers.get("metadata") != "true":
            return refused("invalid_request", "Required metadata header not specified")
        if not request.value("resource") or not request.value("api-version"):
            return refused("invalid_request", "resource and api-version are needed")
        scheme, _, proof = request.headers.get("authorization", "").partition(" ")
        if not proof:
            return self.failure(401, request)
        if scheme != "Basic" or proof not in self.outstanding:
            return refused("invalid_request", "The proof is not known", 401)
        (self.folder / self.outstanding.pop(proof)).unlink(missing_ok=True)
        return self._granted(request)

    def _granted(self, request):
        resource = request.value("resource")
        if resource.rstrip("/") not in self.resources:
            return refused("invalid_resource", f"AADSTS500011: The resource principal named {resource} was not found.")
        chosen = [s for s in ("client_id", "object_id", "msi_res_id") if request.value(s)]  # mi_res_id: ignored, as the real one does
        identity, words = self.identities.find(*(chosen[0], request.value(chosen[0])) if chosen else ("", ""))
        return refused("invalid_request", words) if words else Response.of(200, grant(self.tokens, identity, resource))

    def prove(self, name=None, content=None):
        """Writes a proof; returns the header that names it."""
        name, content = name or f"{new_id()}.key", content or base64.b64encode(secrets.token_bytes(96)).decode()
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
        with os.fdopen(descriptor, "w") as file:
            os.fchown(descriptor, 0, self.reader_gid)
            file.write(content)
        self.outstanding[content] = name
        return f"Basic realm={ARC_FOLDER}/{name}"

    def failure(self, status, request):
        header = {"WWW-Authenticate": self.prove()} if status == 401 else {}
        return refused("unauthorized" if status == 401 else "invalid_request", "Missing Basic Authorization header", status).with_headers(header)


class MlCompute:
    """MSI_ENDPOINT of a compute instance: a shared secret in a header, and client ids without an underscore."""

    name, port, path = "ml-compute", 46808, "/MSI/auth"

    def __init__(self, identities, tokens, resources):
        self.identities, self.tokens, self.resources = identities, tokens, resources
        self.secret = secrets.token_urlsafe(24)
        self.expires_on = str  # how the end is written: from seconds to text

    def answer(self, request):
        if request.path.rstrip("/") != self.path or request.method != "GET":
            return Response(404)
        if request.headers.get("secret") != self.secret:
            return refused("unauthorized", "The secret is not valid", 401)
        if request.value("api-version") != "2017-09-01" or request.value("resource").rstrip("/") not in self.resources:
            return refused("invalid_request", "api-version or resource is not valid")
        client = request.value("clientid")
        identity, words = self.identities.find("client_id" if client else "", client)
        if words:
            return refused("invalid_request", words)
        granted = grant(self.tokens, identity, request.value("resource"))
        granted["expires_on"] = self.expires_on(int(granted["expires_on"]))
        return Response.of(200, {k: granted[k] for k in ("access_token", "client_id", "expires_on", "resource", "token_type")})

    def failure(self, status, request):
        return refused("invalid_request", "Status of a test", status)
