"""Shared access signatures of Azure storage, by the rules of service version 2020-12-06."""

import base64
import hashlib
import hmac
import time
from urllib.parse import urlencode

ACCOUNT = "devstoreaccount1"  # the emulator's, with its well-known key
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2020-12-06"


def _time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _sign(key, text):
    return base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()


def container(name, permissions="rl", lifetime=3600, account=ACCOUNT, key=KEY):
    """A service SAS for one container, as the query that is added to its address."""
    start, end = _time(time.time() - 300), _time(time.time() + lifetime)
    fields = [permissions, start, end, f"/blob/{account}/{name}", "", "", "https", VERSION, "c", "", "", "", "", "", "", ""]
    signature = _sign(key, "\n".join(fields))
    return urlencode({"sv": VERSION, "spr": "https", "st": start, "se": end, "sr": "c", "sp": permissions, "sig": signature})


def account_wide(permissions="rwdlac", lifetime=3600, account=ACCOUNT, key=KEY):
    """An account SAS for the blob service: containers and what is in them."""
    start, end = _time(time.time() - 300), _time(time.time() + lifetime)
    fields = [account, permissions, "b", "sco", start, end, "", "https", VERSION, "", ""]
    signature = _sign(key, "\n".join(fields))
    return urlencode({"sv": VERSION, "ss": "b", "srt": "sco", "sp": permissions, "st": start, "se": end, "spr": "https", "sig": signature})
