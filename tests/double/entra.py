"""The login service: tokens for applications, by secret, certificate or federated assertion; and its discovery."""

import re
import time
from dataclasses import dataclass, field

from assertion import Federation, Invalid, check_certificate, parse
from tokens import new_id
from web import Response

BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ERRORS = {7000215, 7000222, 700024, 700027, 700023, 700021, 50027, 5002738, 700211, 700212, 70021, 7000218}
FAILURES = {429: "AADSTS90055: The tenant is throttled.", 503: "AADSTS90033: A transient error has occurred. Please try again."}
CLOUDS = [
    ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    ["login.microsoftonline.us", "login.usgovcloudapi.net"],
]


@dataclass
class App:
    """A registered application. `secrets` maps a secret to the second of its end; `certificates` are files."""

    client_id: str = field(default_factory=new_id)
    object_id: str = field(default_factory=new_id)
    secrets: dict = field(default_factory=dict)
    certificates: list = field(default_factory=list)
    subjects: list = field(default_factory=list)
    algorithms: list = field(default_factory=list)  # of the assertions it was seen to sign with

    def secret(self, value, lifetime=86400):
        self.secrets[value] = time.time() + lifetime
        return value


class Entra:
    name = "entra"

    def __init__(self, host, tokens, resources):
        self.host, self.tokens, self.resources = host, tokens, resources
        self.apps, self.federation, self.lifetime = {}, Federation(), None

    def register(self):
        app = App()
        self.apps[app.client_id] = app
        return app

    def answer(self, request):
        return self._answer(request).with_headers(self._headers())

    def _answer(self, request):
        parts = [p for p in request.path.split("/") if p]
        if request.method == "GET" and parts == ["common", "discovery", "instance"]:
            return self._instance(request)
        if len(parts) < 3 or parts[0] not in (self.tokens.tenant, "common", "organizations"):
            return self._error(request, 90002, f"Tenant '{parts[0] if parts else ''}' not found.", "invalid_request")
        if request.method == "GET" and parts[-2:] == [".well-known", "openid-configuration"]:
            return self._configuration(parts[0])
        if request.method == "POST" and parts[1:] == ["oauth2", "v2.0", "token"]:
            try:
                return self._token(request, request.form())
            except Invalid as problem:
                return self._error(request, problem.code, problem.words)
        return Response(404, {"Content-Type": "text/html"}, b"")

    def _token(self, request, form):
        if form.get("grant_type") != "client_credentials":
            return self._error(request, 70003, "The app requested an unsupported grant type.", "unsupported_grant_type")
        app = self.apps.get(form.get("client_id", ""))
        if app is None:
            words = f"Application with identifier '{form.get('client_id', '')}' was not found in the directory 'Contoso'."
            return self._error(request, 700016, words, "unauthorized_client")
        self._prove(app, form)
        scope = re.fullmatch(r"(\S+)/\.default", form.get("scope", "").replace(" openid", "").replace(" profile", "").replace(" offline_access", ""))
        if not scope:
            words = f"The provided value for scope {form.get('scope', '')} is not valid. Client credential flows must have a scope value with /.default."
            return self._error(request, 1002012, words, "invalid_scope")
        if scope[1].rstrip("/") not in self.resources:
            words = f"The resource principal named {scope[1]} was not found in the tenant named Contoso."
            return self._error(request, 500011, words, "invalid_resource")
        token = self.tokens.issue(scope[1], app.client_id, app.object_id, lifetime=self.lifetime, appidacr="1")
        lifetime = self.tokens.claims(token)["exp"] - int(time.time()) - 1
        return Response.of(200, {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token})

    def _prove(self, app, form):
        secret, assertion = form.get("client_secret"), form.get("client_assertion")
        if secret is not None and assertion is None:
            if secret not in app.secrets:
                raise Invalid(7000215, "Invalid client secret is provided.")
            if app.secrets[secret] <= time.time():
                raise Invalid(7000222, f"The provided client secret keys for app '{app.client_id}' are expired.")
        elif assertion is not None and form.get("client_assertion_type") == BEARER_ASSERTION:
            if parse(assertion)[1].get("iss") == self.federation.issuer:
                self.federation.check(assertion, app.subjects)
            else:
                audiences = [f"https://{self.host}/{self.tokens.tenant}/{end}" for end in ("oauth2/v2.0/token", "oauth2/token", "v2.0")]
                app.algorithms.append(check_certificate(assertion, app.client_id, audiences, app.certificates))
        else:
            raise Invalid(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")

    def _error(self, request, code, words, error="invalid_client", status=None):
        now, trace = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()), new_id()
        correlation = request.headers.get("client-request-id", new_id())
        return Response.of(status or (401 if code in CLIENT_ERRORS else 400), {
            "error": error, "error_description": f"AADSTS{code}: {words}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {now}",
            "error_codes": [code], "timestamp": now, "trace_id": trace, "correlation_id": correlation,
            "error_uri": f"https://{self.host}/error?code={code}",
        })  # fmt: skip

    def _instance(self, request):
        tenant = re.search(r"https://[^/]+/([^/]+)/", request.value("authorization_endpoint"))
        metadata = [{"preferred_network": names[0], "preferred_cache": names[1 % len(names)], "aliases": names} for names in CLOUDS]
        where = f"https://{self.host}/{tenant[1] if tenant else 'common'}/v2.0/.well-known/openid-configuration"
        return Response.of(200, {"tenant_discovery_endpoint": where, "api-version": "1.1", "metadata": metadata})

    def _configuration(self, tenant):
        base = f"https://{self.host}/{tenant}"
        return Response.of(200, {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys", "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"], "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode", "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com", "cloud_graph_host_name": "graph.windows.net", "msgraph_host": "graph.microsoft.com",
        })  # fmt: skip

    def failure(self, status, request):
        words = FAILURES.get(status, "AADSTS90000: Status of a test.").partition(": ")
        code = int(words[0].removeprefix("AADSTS"))
        return self._error(request, code, words[2], "temporarily_unavailable", status).with_headers(self._headers())

    @staticmethod
    def _headers():
        return {
            "Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "Expires": "-1", "X-Content-Type-Options": "nosniff",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains", "P3P": 'CP="DSP CUR OTPi IND OTRi ONL FIN"',
            "x-ms-request-id": new_id(), "x-ms-ests-server": "2.1.14649.20 - SCUS ProdSlices",
            "Set-Cookie": "x-ms-gateway-slice=estsfd; path=/; secure; samesite=none; httponly",
        }  # fmt: skip
