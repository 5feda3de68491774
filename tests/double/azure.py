"""Azure as a node sees it, at the real names and addresses: start here.

    with Azure() as azure:
        azure.vault().set("storage-key", "...")
        azure.fault("vault", faults.status(429), times=3)
        azure.spawn(["scratchd-broker", ...], uid=64123)
        azure.records.wait(1, "vault", "/secrets/storage-key")
"""

import tempfile

from certs import Certificates
from entra import Entra
from imds import Identities, Imds
from key_vault import KeyVault
from local_endpoints import Arc, MlCompute
from namespace import Namespace
from records import Records
from registry import Registry
from server import Server
from tokens import REGISTRY, STORAGE, Tokens, new_id
from web import Response

METADATA, WIRE_SERVER = "169.254.169.254", "168.63.129.16"
# login, vault suffix, registry suffix
CLOUDS = {
    "public": ("login.microsoftonline.com", "vault.azure.net", "azurecr.io"),
    "china": ("login.chinacloudapi.cn", "vault.azure.cn", "azurecr.cn"),
    "us-government": ("login.microsoftonline.us", "vault.usgovcloudapi.net", "azurecr.us"),
}
EVIL = ("vault.evil.example", "contoso.evilvault.azure.net", "registry.evil.example")


class Elsewhere:
    """A host that no client should talk to: it takes what it gets and says 404."""

    def __init__(self, name):
        self.name = name

    def answer(self, request):
        return Response(404)

    def failure(self, status, request):
        return Response(status)


class Azure:
    """The services are called "vault" (all vaults), "entra", "imds", "arc", "ml-compute", "registry", "wire-server" and
    "elsewhere". `cloud` is a name of CLOUDS or a tuple like its values; `vaults` and `registries` are the names in front.
    """

    def __init__(self, cloud="public", vaults=("contoso", "fabrikam"), registries=("contoso",), others=EVIL, reader_gid=0):
        self.login, self.vault_suffix, self.registry_suffix = CLOUDS.get(cloud, cloud)
        self.folder = tempfile.TemporaryDirectory(prefix="scratchd-azure-")
        self.certificates = Certificates(self.folder.name)
        self.tenant = new_id()
        self.tokens = Tokens(self.tenant)
        self.records = Records(self.tokens)
        self.resource = f"https://{self.vault_suffix}"
        resources = (self.resource, REGISTRY, STORAGE, "https://management.azure.com")
        names = [*(f"{v}.{self.vault_suffix}" for v in vaults), self.login, *(f"{r}.{self.registry_suffix}" for r in registries), *others]
        hosts = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        self.namespace = Namespace(hosts, self.certificates.bundle(), [METADATA, WIRE_SERVER])
        self.identities = Identities()
        self.entra = Entra(self.login, self.tokens, resources)
        self.imds = Imds(self.identities, self.tokens, resources)
        self.arc = Arc(self.identities, self.tokens, resources, self.namespace.tokens_folder, reader_gid)
        self.ml_compute = MlCompute(self.identities, self.tokens, resources)
        authority = "login.windows.net" if cloud == "public" else self.login  # as recorded
        self.vaults = {v: KeyVault(f"{v}.{self.vault_suffix}", self.resource, authority, self.tokens) for v in vaults}
        self.registries = {r: Registry(f"{r}.{self.registry_suffix}", self.tokens) for r in registries}
        self.server = Server(self.namespace, self.certificates, self.records)
        try:
            self._listen(hosts, others)
        except BaseException:
            self.close()
            raise

    def _listen(self, hosts, others):
        secure = [*self.vaults.values(), *self.registries.values(), self.entra]
        for service in secure:
            self.server.listen(service.host, hosts[service.host], 443, service, tls=True)
        for service, address, port in (
            (self.imds, METADATA, 80), (self.arc, "127.0.0.1", Arc.port), (self.ml_compute, "127.0.0.1", MlCompute.port),
            (Elsewhere("wire-server"), WIRE_SERVER, 80), (Elsewhere("wire-server"), WIRE_SERVER, 32526),
        ):  # fmt: skip
            self.server.listen(address, address, port, service)
        for name in others:
            self.server.listen(name, hosts[name], 443, Elsewhere("elsewhere"), tls=True)
            self.server.listen(name, hosts[name], 80, Elsewhere("elsewhere"))
        self.spawn, self.run = self.namespace.spawn, self.namespace.run

    def vault(self, name=None):
        return self.vaults[name] if name else next(iter(self.vaults.values()))

    def registry(self, name=None):
        return self.registries[name] if name else next(iter(self.registries.values()))

    def fault(self, service, action, times=1, path="", skip=0):
        """The next requests of a service (to paths that start so, after `skip` of them) meet this fault; None: for ever.
        Returns an object whose `used` counts them."""
        return self.server.plan(service, action, times, path, skip)

    def heal(self):
        """No faults any more: of requests, of TLS, of names, of listeners."""
        self.server.clear_plans()
        self.namespace.answer_names()
        for listener in self.server.listeners:
            listener.kind = listener.kind and "good"
            listener.open()

    def _listeners(self, where):
        found = [one for one in self.server.listeners if where in (one.host, one.service.name)]
        if not found:
            raise KeyError(where)
        return found

    def show(self, where, kind):
        """How a service or host shows itself in TLS from now on: a kind of certs.KINDS, or "tls1.1"."""
        for listener in self._listeners(where):
            listener.kind = listener.kind and kind

    def refuse(self, where):
        """Connections to a service or host are refused until accept() or heal()."""
        for listener in self._listeners(where):
            listener.close()

    def accept(self, where):
        for listener in self._listeners(where):
            listener.open()

    def strays(self):
        """Requests that carried a token to a service it was not meant for, or anything to a host that nobody should ask."""
        meant = {self.resource: "vault", REGISTRY: "registry"}
        wrong = []
        for record in self.records.of():
            if record.service in ("elsewhere", "wire-server") or any(meant.get(a.rstrip("/"), "registry") != record.service for a in record.audiences):
                wrong.append(record)
        return wrong

    def close(self):
        self.server.close()
        self.namespace.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()
