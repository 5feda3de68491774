"""Client assertions: signed by a certificate, verified with openssl; or federated, issued by another service."""

import hashlib
import hmac
import json
import os
import tempfile
import time

from certs import openssl
from tokens import b64url, new_id, unb64url

PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sigopt", "rsa_mgf1_md:sha256"]
FEDERATED_AUDIENCE = "api://AzureADTokenExchange"


class Invalid(Exception):
    """`code` is the number after AADSTS."""

    def __init__(self, code, words):
        super().__init__(words)
        self.code, self.words = code, words


def parse(assertion):
    """(header, payload, what was signed, signature)"""
    try:
        signed, _, signature = assertion.rpartition(".")
        header, payload = (json.loads(unb64url(part)) for part in signed.split("."))
        return header, payload, signed.encode(), unb64url(signature)
    except ValueError:
        raise Invalid(50027, "JWT token is invalid or malformed.") from None


def thumbprints(certificate):
    """Both names of a certificate in a header, without padding."""
    der = openssl("x509", "-in", certificate, "-outform", "DER")
    return {"x5t": b64url(hashlib.sha1(der).digest()), "x5t#S256": b64url(hashlib.sha256(der).digest())}


def signature_is_good(certificate, algorithm, signed, signature):
    with tempfile.TemporaryDirectory() as folder:
        key, proof = f"{folder}/key.pem", f"{folder}/signature"
        with open(key, "wb") as file:
            file.write(openssl("x509", "-in", certificate, "-pubkey", "-noout"))
        with open(proof, "wb") as file:
            file.write(signature)
        try:
            more = PSS if algorithm == "PS256" else []
            return openssl("dgst", "-sha256", "-verify", key, *more, "-signature", proof, data=signed).strip() == b"Verified OK"
        except RuntimeError:
            return False


def check_times(payload, words="Client assertion is not within its valid time range."):
    now = time.time()
    if not isinstance(payload.get("exp"), int) or payload["exp"] <= now or payload.get("nbf", 0) > now + 300 or payload["exp"] > now + 86400:
        raise Invalid(700024, words)


def check_certificate(assertion, client_id, audiences, certificates):
    """Raises Invalid unless one of the registered certificates signed this for this endpoint. Returns the algorithm."""
    header, payload, signed, signature = parse(assertion)
    algorithm = header.get("alg")
    if algorithm not in ("RS256", "PS256"):
        raise Invalid(5002738, f"Invalid JWT token. '{algorithm}' is not a supported signature algorithm.")
    named = "x5t#S256" if "x5t#S256" in header else "x5t"
    wanted = str(header.get(named, "")).rstrip("=")
    found = [c for c in certificates if thumbprints(c)[named] == wanted]
    if not found:
        raise Invalid(700027, "The certificate with identifier used to sign the client assertion is not registered on application.")
    if payload.get("aud") not in audiences:
        raise Invalid(700023, "Client assertion audience claim does not match Realm issuer.")
    if payload.get("iss") != client_id or payload.get("sub") != client_id:
        raise Invalid(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    if not payload.get("jti"):
        raise Invalid(50027, "JWT token is invalid or malformed.")
    check_times(payload)
    if not signature_is_good(found[0], algorithm, signed, signature):
        raise Invalid(700027, "Client assertion failed signature validation.")
    return algorithm


class Federation:
    """Another service whose tokens are trusted: a cluster with workload identity."""

    def __init__(self, issuer="https://oidc.cluster.example/"):
        self.issuer, self.key = issuer, os.urandom(32)

    def token(self, subject="system:serviceaccount:jobs:scratchd", audience=FEDERATED_AUDIENCE, lifetime=3600):
        now = int(time.time())
        body = {"aud": [audience], "iss": self.issuer, "sub": subject, "iat": now, "nbf": now, "exp": now + lifetime, "jti": new_id()}
        text = ".".join(b64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "cluster"}, body))
        return f"{text}.{b64url(hmac.digest(self.key, text.encode(), 'sha256') * 8)}"

    def check(self, assertion, subjects):
        _, payload, signed, signature = parse(assertion)
        if not hmac.compare_digest(signature, hmac.digest(self.key, signed, "sha256") * 8):
            raise Invalid(700211, "No matching federated identity record found for presented assertion issuer.")
        audience = payload["aud"] if isinstance(payload["aud"], list) else [payload["aud"]]
        if FEDERATED_AUDIENCE not in audience:
            raise Invalid(700212, "No matching federated identity record found for presented assertion audience.")
        if payload["iss"] != self.issuer or payload["sub"] not in subjects:
            raise Invalid(70021, "No matching federated identity record found for presented assertion.")
        check_times(payload)
