"""The instance metadata service: tokens of managed identities, and what is known about the machine."""

import json
import time
from dataclasses import dataclass, field

from tokens import new_id
from web import Response

HEADERS = {"Server": "IMDS/150.870.65.528"}
MULTIPLE = "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"
SELECTORS = ("client_id", "object_id", "msi_res_id")
VERSIONS = ["2021-12-13", "2021-11-15", "2021-11-01"]
COMPUTE = {
    "azEnvironment": "AzurePublicCloud", "location": "westeurope", "name": "node-1", "osType": "Linux", "provider": "Microsoft.Compute",
    "resourceGroupName": "cluster", "resourceId": "/subscriptions/s/resourceGroups/cluster/providers/Microsoft.Compute/virtualMachines/node-1",
    "securityProfile": {"encryptionAtHost": "false", "secureBootEnabled": "true", "virtualTpmEnabled": "true"},
    "storageProfile": {"resourceDisk": {"size": "16384"}}, "subscriptionId": "s", "tags": "", "tagsList": [], "userData": "",
    "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6", "vmScaleSetName": "", "vmSize": "Standard_ND96asr_v4", "zone": "",
}  # fmt: skip


@dataclass
class Identity:
    """A managed identity. One without a resource id of its own is the machine's."""

    resource_id: str = ""
    client_id: str = field(default_factory=new_id)
    object_id: str = field(default_factory=new_id)

    def matches(self, selector, value):
        own = {"client_id": self.client_id, "object_id": self.object_id, "msi_res_id": self.resource_id}[selector]
        return own != "" and own.lower() == value.lower()


class Identities:
    """Those assigned to the machine: `system` may be None, `users` is a list."""

    def __init__(self):
        self.system, self.users = Identity(), []

    def assign(self, name):
        where = "/subscriptions/s/resourcegroups/cluster/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
        self.users.append(Identity(f"{where}/{name}"))
        return self.users[-1]

    def find(self, selector, value):
        """(identity, None) or (None, what the service says)."""
        if selector:
            found = [i for i in [*self.users, *([self.system] if self.system else [])] if i.matches(selector, value)]
            return (found[0], None) if found else (None, "Identity not found")
        if self.system:
            return self.system, None
        if len(self.users) == 1:
            return self.users[0], None
        return None, MULTIPLE if self.users else "Identity not found"


class Imds:
    """http://169.254.169.254. `remembers` makes it answer with the same token until that ends, as the real one does."""

    name = "imds"

    def __init__(self, identities, tokens, resources):
        self.identities, self.tokens, self.resources = identities, tokens, resources
        self.lifetime, self.remembers, self.kept = None, False, {}
        self.compute = json.loads(json.dumps(COMPUTE))

    def tag(self, **tags):
        """The machine's tags, in both forms."""
        self.compute["tagsList"] = [{"name": k, "value": v} for k, v in tags.items()]
        self.compute["tags"] = ";".join(f"{k}:{v}" for k, v in tags.items())

    def answer(self, request):
        return self._answer(request).with_headers(HEADERS)

    def _answer(self, request):
        path, names = request.path.rstrip("/"), [name for name, _ in request.query]
        if not path.startswith("/metadata/"):
            return Response(404)
        if request.method != "GET":
            return Response(405, {"Allow": "GET"})
        if "x-forwarded-for" in request.headers:
            return refused("invalid_request", "Request contains a header that is not allowed: X-Forwarded-For")
        if request.headers.get("metadata") != "true":
            return refused("invalid_request", "Required metadata header not specified")
        if len(set(names)) < len(names):
            return refused("invalid_request", "Duplicate query parameters are not allowed")
        if path == "/metadata/identity/oauth2/token":
            return self._token(request)
        if path == "/metadata/instance" or path.startswith("/metadata/instance/"):
            return self._instance(request, [p for p in path.split("/") if p][2:])
        return Response(404)

    def _token(self, request):
        if not request.value("api-version"):
            return refused("invalid_request", "Required query variable 'api-version' is missing")
        resource = request.value("resource")
        if not resource:
            return refused("invalid_request", "Required query variable 'resource' is missing")
        if resource.rstrip("/") not in self.resources:
            return refused("invalid_resource", f"AADSTS500011: The resource principal named {resource} was not found in the tenant named Contoso.")
        chosen = [s for s in SELECTORS if request.value(s)]
        if len(chosen) > 1:
            return refused("invalid_request", "Only one of client_id, object_id and msi_res_id may be specified")
        identity, words = self.identities.find(*(chosen[0], request.value(chosen[0])) if chosen else ("", ""))
        return refused("invalid_request", words) if words else Response.of(200, self.grant(identity, resource))

    def grant(self, identity, resource):
        kept = self.kept.get((identity.client_id, resource))
        if self.remembers and kept and int(kept["expires_on"]) > time.time() + 300:
            return kept
        granted = grant(self.tokens, identity, resource, self.lifetime)
        self.kept[identity.client_id, resource] = granted
        return granted

    def _instance(self, request, parts):
        version = request.value("api-version")
        if not version:
            words = "Bad request. api-version was not specified in the request. For more information refer to aka.ms/azureimds"
            return Response.of(400, {"error": words, "newest-versions": VERSIONS})
        found = {"compute": self.compute, "network": {"interface": []}}
        for part in parts:
            if not isinstance(found, dict) or part not in found:
                return Response.of(404, {"error": "Not found"})
            found = found[part]
        if isinstance(found, (dict, list)):
            return Response.of(200, found)
        if request.value("format") != "text":
            return Response.of(404, {"error": "Not found"})
        return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, found.encode())

    def failure(self, status, request):
        words = {429: "Too many requests", 410: "IMDS is going through updates", 404: "Identity endpoint is not ready"}
        return refused("invalid_request", words.get(status, "Status of a test"), status).with_headers(HEADERS)


def grant(tokens, identity, resource, lifetime=None):
    """A token as these endpoints give it: every number is a string."""
    token = tokens.issue(resource, identity.client_id, identity.object_id, identity.resource_id or COMPUTE["resourceId"], lifetime)
    claims = tokens.claims(token)
    return {
        "access_token": token, "client_id": identity.client_id, "expires_in": str(claims["exp"] - int(time.time())),
        "expires_on": str(claims["exp"]), "ext_expires_in": "86399", "not_before": str(claims["nbf"]), "resource": resource,
        "token_type": "Bearer",
    }  # fmt: skip


def refused(error, description, status=400):
    return Response.of(status, {"error": error, "error_description": description})
