"""The double says what the real services were recorded to say: statuses, headers, the keys and types of bodies."""

import base64
import json
import re
import time
import unittest

from ask import get, post
from assertion import parse
from azure import Azure
from certs import openssl
from entra import BEARER_ASSERTION
from imds import Identity
from tokens import REGISTRY, VAULT, b64url, new_id

IMDS = "http://169.254.169.254/metadata"
KEY_VAULT_HEADERS = {
    "cache-control", "content-length", "content-type", "date", "expires", "pragma", "strict-transport-security", "x-content-type-options",
    "x-ms-client-request-id", "x-ms-keyvault-network-info", "x-ms-keyvault-region", "x-ms-keyvault-service-version", "x-ms-request-id",
}  # fmt: skip


class Double(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.azure = cls.enterClassContext(Azure())
        cls.vault = cls.azure.vault()

    def secret(self, name, token=None, **how):
        token = self.azure.tokens.issue(VAULT) if token is None else token
        return get(self.azure, f"https://{self.vault.host}/secrets/{name}?api-version=7.4", token, **how)


class KeyVaultShapes(Double):
    def test_the_challenge_is_the_recorded_one_to_the_byte(self):
        reply = self.secret("any", token="", headers={"x-ms-client-request-id": "mine"})
        self.assertEqual(reply.status, 401)
        self.assertEqual(reply.body, b'{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}')
        self.assertEqual(reply.headers["content-length"], "97")
        self.assertRegex(reply.headers["www-authenticate"], r'^Bearer authorization="https://login\.windows\.net/[0-9a-f-]{36}", resource="https://vault\.azure\.net"$')
        self.assertEqual(set(reply.headers), KEY_VAULT_HEADERS | {"www-authenticate"})
        self.assertEqual(reply.headers["x-ms-client-request-id"], "mine")

    def test_a_secret(self):
        made = self.vault.set("plain", "SECRET_VALUE")
        reply = self.secret("plain")
        self.assertEqual((reply.status, set(reply.headers)), (200, KEY_VAULT_HEADERS))
        self.assertEqual(reply.headers["content-type"], "application/json; charset=utf-8")
        self.assertEqual(list(reply.json()), ["value", "id", "attributes"])
        self.assertEqual(reply.json()["id"], f"https://{self.vault.host}/secrets/plain/{made.version}")
        self.assertRegex(made.version, r"^[0-9a-f]{32}$")
        self.assertEqual(list(reply.json()["attributes"]), ["enabled", "created", "updated", "recoveryLevel", "recoverableDays"])
        self.assertEqual(self.secret("PLAIN/").json(), reply.json())

    def test_a_managed_certificate(self):
        key, certificate, _ = self.azure.certificates.client("managed")
        self.vault.certificate("tls", key, certificate)
        content = self.secret("tls").json()
        self.assertEqual(list(content), ["value", "contentType", "id", "managed", "attributes", "tags", "kid"])
        self.assertEqual(list(content["attributes"])[:3], ["enabled", "nbf", "exp"])
        inside = openssl("pkcs12", "-nodes", "-passin", "pass:", "-legacy", data=base64.b64decode(content["value"])).decode()
        self.assertEqual(inside.count("BEGIN CERTIFICATE"), 1)
        self.assertIn("BEGIN PRIVATE KEY", inside)

    def test_refusals_have_the_recorded_words(self):
        self.vault.set("off", "x", enabled=False)
        self.assertEqual(
            self.secret("off").body,
            b'{"error":{"code":"Forbidden","message":"Operation get is not allowed on a disabled secret.","innererror":{"code":"SecretDisabled"}}}',
        )
        self.assertRegex(self.secret("never").json()["error"]["message"], r"^A secret with \(name/id\) never was not found in this key vault\. If you recently deleted .*linkid=2125182$")
        self.assertEqual(self.secret("a_b").status, 400)
        self.vault.set("closed", "x")
        for code in ("ForbiddenByRbac", "ForbiddenByPolicy", "ForbiddenByFirewall", "ForbiddenByConnection"):
            self.vault.forbid("closed", code)
            reply = self.secret("closed")
            self.assertEqual((reply.status, reply.json()["error"]["code"], reply.json()["error"]["innererror"]["code"]), (403, "Forbidden", code))
        self.vault.forbid("closed", None)
        self.assertEqual(self.secret("closed").status, 200)
        self.vault.delete("closed")
        self.assertEqual((self.secret("closed").status, self.secret("closed").json()["error"]["code"]), (404, "SecretNotFound"))
        url = f"https://{self.vault.host}/deletedsecrets/{{}}?api-version=7.4"
        token = self.azure.tokens.issue(VAULT)
        self.assertEqual(list(get(self.azure, url.format("closed"), token).json()), ["recoveryId", "deletedDate", "scheduledPurgeDate", "id", "attributes"])
        self.assertEqual(get(self.azure, url.format("never"), token).body, b'{"error":{"code":"SecretNotFound","message":"Deleted Secret not found: never"}}')
        self.vault.recover("closed")
        self.assertEqual(self.secret("closed").status, 200)

    def test_a_page_names_the_next_with_its_port(self):
        vault = self.azure.vault("fabrikam")
        for number in range(30):
            vault.set(f"n{number:02}", "x", tags={"n": str(number)})
        token = self.azure.tokens.issue(VAULT)
        first = get(self.azure, f"https://{vault.host}/secrets?api-version=7.4", token).json()
        self.assertEqual((list(first), len(first["value"])), (["value", "nextLink"], 25))
        self.assertRegex(first["nextLink"], rf"^https://{re.escape(vault.host)}:443/secrets\?api-version=7\.4&\$skiptoken=\w+")
        self.assertEqual(list(first["value"][0]), ["id", "attributes", "tags"])
        self.assertEqual(first["value"][0]["id"], f"https://{vault.host}/secrets/n00")
        second = get(self.azure, first["nextLink"], token).json()
        self.assertEqual((len(second["value"]), second["nextLink"]), (5, None))

    def test_tokens_are_checked(self):
        tokens = self.azure.tokens
        self.vault.set("guarded", "x")
        for token, words in (
            (tokens.issue("https://management.azure.com"), "AKV10022"), (tokens.issue(VAULT + "/"), "AKV10022"), ("a.b.c", "AKV10046"),
            (tokens.issue(VAULT, iss="https://sts.windows.net/another/"), "AKV10032"), (tokens.issue(VAULT, lifetime=-1), "[TokenExpired]"),
        ):  # fmt: skip
            reply = self.secret("guarded", token)
            self.assertEqual((reply.status, "www-authenticate" in reply.headers), (401, True))
            self.assertIn(words, reply.json()["error"]["message"])
        good = tokens.issue(VAULT)
        self.assertEqual(self.secret("guarded", good).status, 200)
        tokens.revoke_all()
        self.assertIn("[TokenExpired]", self.secret("guarded", good).json()["error"]["message"])


class ImdsShapes(Double):
    def token(self, more="", headers=None):
        url = f"{IMDS}/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net{more}"
        return get(self.azure, url, headers={"Metadata": "true"} if headers is None else headers)

    def setUp(self):
        self.azure.identities.system, self.azure.identities.users[:] = Identity(), []

    def test_a_token_in_strings(self):
        reply = self.token()
        content = reply.json()
        self.assertEqual(list(content), ["access_token", "client_id", "expires_in", "expires_on", "ext_expires_in", "not_before", "resource", "token_type"])
        self.assertEqual({type(v) for v in content.values()}, {str})
        self.assertEqual((content["resource"], content["token_type"]), (VAULT, "Bearer"))
        self.assertEqual(int(content["expires_on"]) - int(content["not_before"]), 86700)
        claims = parse(content["access_token"])[1]
        self.assertLessEqual({"aud", "iss", "appid", "appidacr", "idtyp", "oid", "sub", "tid", "xms_mirid"}, set(claims))
        self.assertEqual(set(reply.headers), {"content-length", "content-type", "date", "server"})
        self.assertRegex(reply.headers["server"], r"^IMDS/150\.")

    def test_refusals_have_the_recorded_words(self):
        missing = self.token(headers={})
        self.assertEqual((missing.status, missing.headers["content-length"]), (400, "88"))
        self.assertEqual(missing.body, b'{"error":"invalid_request","error_description":"Required metadata header not specified"}')
        self.assertEqual(self.token(headers={"Metadata": "True"}).body, missing.body)
        self.assertEqual(self.token("&client_id=none").body, b'{"error":"invalid_request","error_description":"Identity not found"}')
        for more, headers in (("&resource=a", None), ("&client_id=a&object_id=b", None), ("", {"Metadata": "true", "X-Forwarded-For": "10.0.0.1"})):
            self.assertEqual(self.token(more, headers).status, 400)

    def test_which_identity_answers(self):
        identities = self.azure.identities
        one, two = identities.assign("one"), identities.assign("two")
        for selector, value in (("client_id", two.client_id), ("object_id", two.object_id), ("msi_res_id", two.resource_id)):
            self.assertEqual(self.token(f"&{selector}={value}").json()["client_id"], two.client_id)
        self.assertEqual(self.token().json()["client_id"], identities.system.client_id)
        self.assertEqual(self.token(f"&mi_res_id={two.resource_id}").json()["client_id"], identities.system.client_id)
        identities.system = None
        self.assertRegex(self.token().json()["error_description"], "^Multiple user assigned identities exist")
        identities.users.remove(two)
        self.assertEqual(self.token().json()["client_id"], one.client_id)
        identities.users.clear()
        self.assertEqual(self.token().json()["error_description"], "Identity not found")

    def test_it_may_remember_a_token(self):
        self.azure.imds.remembers = True
        self.addCleanup(setattr, self.azure.imds, "remembers", False)
        self.assertEqual(self.token().json()["access_token"], self.token().json()["access_token"])

    def test_what_is_known_of_the_machine(self):
        self.azure.imds.tag(hbi="true", owner="a")
        ask = {"headers": {"Metadata": "true"}}
        compute = get(self.azure, f"{IMDS}/instance/compute?api-version=2021-02-01", **ask).json()
        self.assertEqual((compute["tags"], compute["tagsList"][0]), ("hbi:true;owner:a", {"name": "hbi", "value": "true"}))
        self.assertEqual(compute["storageProfile"]["resourceDisk"]["size"], "16384")
        leaf = f"{IMDS}/instance/compute/vmId?api-version=2021-02-01"
        self.assertEqual(get(self.azure, leaf + "&format=text", **ask).body.decode(), compute["vmId"])
        self.assertEqual(get(self.azure, leaf, **ask).status, 404)
        self.assertIn("newest-versions", get(self.azure, f"{IMDS}/instance/compute", **ask).json())
        self.assertEqual(get(self.azure, f"{IMDS}/attested/document?api-version=2021-02-01", **ask).status, 404)


class EntraShapes(Double):
    def login(self, **form):
        url = f"https://{self.azure.login}/{self.azure.tenant}/oauth2/v2.0/token"
        return post(self.azure, url, {"grant_type": "client_credentials", "scope": f"{VAULT}/.default", **form}, {"client-request-id": "mine"})

    def signed(self, app, key, certificate, algorithm="RS256", **changes):
        header = {"alg": algorithm, "typ": "JWT"}
        der, name = openssl("x509", "-in", certificate, "-outform", "DER"), {"RS256": "x5t", "PS256": "x5t#S256"}[algorithm]
        header[name] = b64url(openssl("dgst", "-sha1" if algorithm == "RS256" else "-sha256", "-binary", data=der))
        now, audience = int(time.time()), f"https://{self.azure.login}/{self.azure.tenant}/oauth2/v2.0/token"
        payload = {"aud": audience, "iss": app.client_id, "sub": app.client_id, "jti": new_id(), "nbf": now, "exp": now + 600, **changes}
        text = ".".join(b64url(json.dumps(part).encode()) for part in (header, payload))
        more = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if algorithm == "PS256" else []
        return f"{text}.{b64url(openssl('dgst', '-sha256', '-sign', key, *more, data=text.encode()))}"

    def test_a_token_in_numbers_and_a_refusal(self):
        app = self.azure.entra.register()
        good = self.login(client_id=app.client_id, client_secret=app.secret("right"))
        self.assertEqual(list(good.json()), ["token_type", "expires_in", "ext_expires_in", "access_token"])
        self.assertEqual((good.json()["expires_in"], good.headers["cache-control"]), (86399, "no-store, no-cache"))
        refused = self.login(client_id=app.client_id, client_secret="wrong")
        self.assertEqual((refused.status, refused.json()["error"], refused.json()["error_codes"]), (401, "invalid_client", [7000215]))
        self.assertEqual(list(refused.json()), ["error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri"])
        self.assertRegex(refused.json()["error_description"], r"^AADSTS7000215: Invalid client secret is provided\.\r\nTrace ID: .*\r\nCorrelation ID: mine\r\nTimestamp: ")
        for code, form in (
            (700016, {"client_id": "x", "client_secret": "right"}), (500011, {"scope": "https://none.example/.default"}), (1002012, {"scope": VAULT}),
            (70003, {"grant_type": "password"}), (7000218, {"client_secret": None}),
        ):  # fmt: skip
            form = {"client_id": app.client_id, "client_secret": "right", **form}
            self.assertEqual(self.login(**{k: v for k, v in form.items() if v is not None}).json()["error_codes"], [code])
        self.assertEqual(post(self.azure, f"https://{self.azure.login}/none/oauth2/v2.0/token", {}).json()["error_codes"], [90002])

    def test_assertions_are_verified(self):
        app = self.azure.entra.register()
        key, certificate, _ = self.azure.certificates.client("principal")
        other = self.azure.certificates.client("stranger")
        app.certificates.append(certificate)

        def login(assertion):
            return self.login(client_id=app.client_id, client_assertion_type=BEARER_ASSERTION, client_assertion=assertion)

        for algorithm in ("RS256", "PS256"):
            good = self.signed(app, key, certificate, algorithm)
            self.assertEqual(login(good).status, 200, algorithm)
            self.assertEqual(login(self.signed(app, other[0], certificate, algorithm)).json()["error_codes"], [700027])
        self.assertEqual(app.algorithms, ["RS256", "PS256"])
        self.assertEqual(login(self.signed(app, other[0], other[1])).json()["error_codes"], [700027])
        for code, changes in ((700023, {"aud": "x"}), (700021, {"sub": "x"}), (700024, {"exp": 1}), (700024, {"exp": int(time.time()) + 172800}), (50027, {"jti": ""})):
            self.assertEqual(login(self.signed(app, key, certificate, **changes)).json()["error_codes"], [code])
        self.assertEqual(login("no").json()["error_codes"], [50027])
        federation, app.subjects = self.azure.entra.federation, ["me"]
        self.assertEqual(login(federation.token("me")).status, 200)
        for code, token in ((70021, federation.token("you")), (700212, federation.token("me", "x")), (700024, federation.token("me", lifetime=-1))):
            self.assertEqual(login(token).json()["error_codes"], [code])


class LocalAndRegistryShapes(Double):
    def test_arc_asks_for_what_its_file_holds(self):
        arc = self.azure.arc
        url = f"http://127.0.0.1:{arc.port}{arc.path}?api-version=2020-06-01&resource={VAULT}"
        challenged = get(self.azure, url, headers={"Metadata": "true"})
        realm = re.fullmatch(r"Basic realm=(/var/opt/azcmagent/tokens/[0-9a-f-]{36}\.key)", challenged.headers["www-authenticate"])[1]
        proof = self.azure.run(["cat", realm]).stdout
        self.assertEqual(self.azure.run(["cat", realm], uid=1001).returncode, 1)
        answer = {"headers": {"Metadata": "true", "Authorization": f"Basic {proof}"}}
        self.assertEqual(get(self.azure, url, **answer).json()["resource"], VAULT)
        self.assertEqual(get(self.azure, url, **answer).status, 401)  # a proof is good once
        self.assertEqual(get(self.azure, url).status, 400)

    def test_ml_compute(self):
        ml, worker = self.azure.ml_compute, self.azure.identities.assign("worker")
        url = f"http://127.0.0.1:{ml.port}{ml.path}?api-version=2017-09-01&resource={VAULT}&clientid={worker.client_id}"
        ml.expires_on = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
        content = get(self.azure, url, headers={"Metadata": "true", "secret": ml.secret}).json()
        self.assertEqual(content["client_id"], worker.client_id)
        self.assertRegex(content["expires_on"], r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(get(self.azure, url, headers={"secret": "no"}).status, 401)

    def test_a_registry_exchanges_an_identity_token(self):
        registry = self.azure.registry()
        base = f"https://{registry.host}"
        challenged = get(self.azure, f"{base}/v2/")
        self.assertEqual(challenged.headers["www-authenticate"], f'Bearer realm="{base}/oauth2/token",service="{registry.host}"')
        form = {"grant_type": "access_token", "service": registry.host, "tenant": self.azure.tenant, "access_token": self.azure.tokens.issue(REGISTRY, "app")}
        refresh = post(self.azure, f"{base}/oauth2/exchange", form).json()["refresh_token"]
        self.assertEqual(post(self.azure, f"{base}/oauth2/exchange", {**form, "access_token": self.azure.tokens.issue(VAULT)}).status, 401)
        registry.allowed = ["another"]
        self.assertEqual(post(self.azure, f"{base}/oauth2/exchange", form).status, 401)
        registry.allowed = None
        access = post(self.azure, f"{base}/oauth2/token", {"grant_type": "refresh_token", "service": registry.host, "refresh_token": refresh}).json()["access_token"]
        self.assertEqual(get(self.azure, f"{base}/v2/", access).status, 200)


if __name__ == "__main__":
    unittest.main()
