"""systemd as it loads a credential: LoadCredential=NAME:/run/scratchd-broker/credential.sock."""

import os
import socket


def connect(path, unit, credential, blocking=True, address=None):
    """A connection from the address that systemd uses; whoever connects may use it."""
    client = socket.socket(socket.AF_UNIX)
    try:
        client.setblocking(blocking)
        if blocking:
            client.settimeout(20)
        client.bind(address or f"\0{os.urandom(8).hex()}/unit/{unit}/{credential}")
        client.connect(str(path))
        return client
    except BaseException:
        client.close()
        raise


def read(client):
    """To the end; empty when it was refused, which has no other sign."""
    data = b""
    with client:
        while piece := client.recv(65536):
            data += piece
    return data


def load(path, unit, credential, **how):
    return read(connect(path, unit, credential, **how))
