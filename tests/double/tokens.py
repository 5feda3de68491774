"""Access tokens of the double: shaped like a JWT, checked by whoever issued them, revoked on demand."""

import base64
import hashlib
import hmac
import json
import os
import threading
import time
import uuid

VAULT, REGISTRY, STORAGE = "https://vault.azure.net", "https://containerregistry.azure.net", "https://storage.azure.com"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fingerprint(text):
    """How a secret is named in records: never by its value."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


class Tokens:
    """Issues tokens and says what is wrong with one. `lifetime` is in seconds and may be changed at any time."""

    def __init__(self, tenant):
        self.tenant, self.key = tenant, os.urandom(32)
        self.lifetime = 86400
        self.issued = {}  # the token: its audience
        self.revoked = set()
        self.lock = threading.Lock()

    def issue(self, audience, app="", subject="", resource_id="", lifetime=None, **claims):
        now = int(time.time())
        lifetime = self.lifetime if lifetime is None else lifetime
        body = {
            "aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "iat": now - 300, "nbf": now - 300, "exp": now + lifetime,
            "appid": app, "appidacr": "2", "idtyp": "app", "oid": subject, "sub": subject, "tid": self.tenant,
            "uti": b64url(os.urandom(16)), "ver": "1.0", "xms_mirid": resource_id, **claims,
        }  # fmt: skip
        token = self._sign({"typ": "JWT", "alg": "RS256", "x5t": "double", "kid": "double"}, body)
        with self.lock:
            self.issued[token] = audience
        return token

    def _sign(self, header, body):
        text = ".".join(b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, body))
        return f"{text}.{b64url(hmac.digest(self.key, text.encode(), 'sha256') * 8)}"  # 256 bytes, as RSA-2048

    def claims(self, token):
        """The claims of a token of ours; None if it is not."""
        try:
            text, _, signature = token.rpartition(".")
            if not hmac.compare_digest(unb64url(signature), hmac.digest(self.key, text.encode(), "sha256") * 8):
                return None
            return json.loads(unb64url(text.split(".")[1]))
        except (ValueError, IndexError):
            return None

    def wrong(self, token, audiences, issuer=None):
        """The message of Key Vault about this token; None if it is good."""
        claims = self.claims(token)
        issuer = issuer or f"https://sts.windows.net/{self.tenant}/"
        if claims is None:
            return "AKV10046: Unable to resolve the key used for signature validation."
        if claims["aud"] not in audiences:
            return f"AKV10022: Invalid audience. Expected {audiences[0]}, found: {claims['aud']}."
        if claims["iss"] != issuer:
            return f"AKV10032: Invalid issuer. Expected one of {issuer}, found {claims['iss']}."
        if token in self.revoked or claims["exp"] <= time.time():
            return "[TokenExpired] Error validating token: 'S2S12086'."
        return None

    def revoke_all(self):
        """Every token issued so far is refused from now on."""
        with self.lock:
            self.revoked |= set(self.issued)

    def carried(self, text):
        """The issued tokens that stand in a text."""
        with self.lock:
            return [t for t in self.issued if t in text]


def new_id():
    return str(uuid.uuid4())
