"""A container registry's login: an identity token is exchanged for a refresh token, that for access tokens."""

import base64

from tokens import REGISTRY
from web import Response

USER = "00000000-0000-0000-0000-000000000000"


class Registry:
    """One registry: `host` is its name. `realm_host` is whom its challenge names; a hostile one names another."""

    def __init__(self, host, tokens):
        self.name, self.host, self.tokens = "registry", host, tokens
        self.realm_host, self.allowed = host, None  # client ids that may pull; None: all
        self.refresh_audience, self.access_audience = f"refresh:{host}", f"access:{host}"

    def answer(self, request):
        parts = [p for p in request.path.split("/") if p]
        if parts == ["v2"] and request.method == "GET":
            if self.tokens.wrong(request.bearer(), [self.access_audience]):
                return self.failure(401, request)
            return Response.of(200, {}).with_headers({"Docker-Distribution-Api-Version": "registry/2.0"})
        if parts == ["oauth2", "exchange"] and request.method == "POST":
            return self._exchange(request.form())
        if parts == ["oauth2", "token"]:
            return self._access(request)
        return self._error(404, "NAME_UNKNOWN", "repository name not known to registry")

    def _exchange(self, form):
        if form.get("grant_type") not in ("access_token", "access_token_refresh_token"):
            return self._error(400, "INVALID_GRANT", "the grant type is not supported")
        if form.get("service") != self.host:
            return self._error(400, "INVALID_SERVICE", f"the service is not {self.host}")
        token = form.get("access_token", "")
        if wrong := self.tokens.wrong(token, [REGISTRY]):
            return self._error(401, "UNAUTHORIZED", f"authentication required: {wrong}")
        app = self.tokens.claims(token)["appid"]
        if self.allowed is not None and app not in self.allowed:
            return self._error(401, "UNAUTHORIZED", "authentication required, visit https://aka.ms/acr/authorization for more information.")
        return Response.of(200, {"refresh_token": self.tokens.issue(self.refresh_audience, app, lifetime=3 * 3600, grant_type="refresh_token")})

    def _access(self, request):
        form = request.form()
        scheme, _, proof = request.headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(proof + "==").decode(errors="replace").partition(":") if scheme == "Basic" else (USER, "", "")
        refresh = form.get("refresh_token") or password
        if user != USER or self.tokens.wrong(refresh, [self.refresh_audience]):
            return self._error(401, "UNAUTHORIZED", "authentication required")
        return Response.of(200, {"access_token": self.tokens.issue(self.access_audience, self.tokens.claims(refresh)["appid"], lifetime=4500)})

    def failure(self, status, request):
        response = self._error(status, "UNAUTHORIZED" if status == 401 else "TOOMANYREQUESTS", "authentication required")
        challenge = f'Bearer realm="https://{self.realm_host}/oauth2/token",service="{self.host}"'
        return response.with_headers({"WWW-Authenticate": challenge} if status == 401 else {})

    @staticmethod
    def _error(status, code, message):
        content = {"errors": [{"code": code, "message": message, "detail": None}]}
        return Response.of(status, content).with_headers({"Docker-Distribution-Api-Version": "registry/2.0"})
