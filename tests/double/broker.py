"""The real broker inside of the double of Azure: what its tests share. Needs root, and SCRATCHD_BIN with the programs."""

import json
import os
import pathlib
import unittest

from azure import Azure
from channel import Refused, RootSide

BIN = pathlib.Path(os.environ.get("SCRATCHD_BIN", pathlib.Path(__file__).parents[2] / "build/dev/bin"))
# The codes of agent/base/error.hpp that a refusal may carry.
TIMED_OUT, UNKNOWN, DENIED, GONE, FORMAT = 3, 90, 91, 92, 93
MISSING, DISABLED, EXPIRED = 96, 97, 98
VAULT_DENIED, THROTTLED, UNREACHABLE, UNTRUSTED, MALFORMED, IDENTITY = 100, 101, 102, 103, 104, 105


def toml(value):
    return json.dumps(value)  # texts, numbers, lists and booleans are written alike


def table(title, values):
    return f"{title}\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())


def secret(name, **how):
    """A credential of kind "secret" in the vault contoso."""
    return {"name": name, "kind": "secret", "vault": "https://contoso.vault.azure.net", **how}


def config(credentials, identities=(), **broker):
    parts = [table("[broker]", {"provider": "azure-key-vault", "directory": "{folder}/sources", **broker})]
    parts += [table("[[identity]]", i) for i in identities] + [table("[[credential]]", c) for c in credentials]
    return "\n".join(parts)


def start(azure, text, sources=None, arguments=(), **how):
    """A RootSide whose broker runs inside, not yet started: use it as a context."""
    side = RootSide(BIN / "scratchd-broker", text, sources=sources, spawn=azure.spawn, **how)
    side.argv += arguments
    return side


def status(side, field):
    """A number of /proc/PID/status, in its own unit."""
    text = pathlib.Path(f"/proc/{side.child.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(field + ":")).split()[1])


def audit(side, event, **fields):
    """The lines of the log with this event and these fields."""
    wanted = [event, *(f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}" for name, value in fields.items())]
    return [line for line in side.log().splitlines() if all(word in line for word in wanted)]


class Case(unittest.TestCase):
    """One double for all tests of a class; whole again, and its records empty, before each."""

    azure_options = {}

    @classmethod
    def setUpClass(cls):
        cls.azure = cls.enterClassContext(Azure(**cls.azure_options))
        cls.vault = cls.azure.vault()

    def setUp(self):
        self.azure.records.clear()
        self.addCleanup(self.azure.heal)

    def broker(self, text, sources=None, arguments=(), **how):
        return self.enterContext(start(self.azure, text, sources, arguments, **how))

    def refused(self, side, *arguments, **how):
        """The refusal of a grant that must not be given: nothing of it is delivered, and nobody else heard of anything."""
        with self.assertRaises(Refused) as caught:
            side.grant(*arguments, **how)
        self.assertEqual((side.half_written, self.azure.strays()), ([], []))
        return caught.exception

    def works(self, side, values):
        """A grant of these credentials (names to texts) is given with the right values; it is revoked again."""
        job = side.grant("well", list(values))
        self.assertEqual({name: job.read(name).decode() for name in values}, values)
        side.revoke("well")
