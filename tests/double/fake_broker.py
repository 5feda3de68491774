"""As little of a broker as root's side of the channel needs to be tried without one. Runs alone, as its own user.

A credential's value is that of the source of the same name; `get` answers it, resync fetches it again.
"""

import json
import os
import socket
import struct
import sys
import threading


class Broker:
    def __init__(self, runtime):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{runtime}/broker.sock")
        listener.listen(1)
        self.root, _ = listener.accept()
        self.serial, self.values, self.jobs = 0, {}, {}

    def receive(self):
        data, descriptors, _, _ = socket.recv_fds(self.root, 65536, 128)
        return (json.loads(data) if data else None), descriptors

    def say(self, **message):
        self.root.send(json.dumps(message).encode())

    def ask(self, **message):
        self.serial += 1
        self.say(serial=self.serial, **message)
        answer, descriptors = self.receive()
        assert answer["serial"] == self.serial, answer
        return answer, descriptors

    def fetch(self, name):
        answer, descriptors = self.ask(op="want-source", name=name)
        if answer["op"] == "no-source":
            return answer
        with os.fdopen(descriptors[0], "rb") as file:
            self.values[name] = file.read()
        return None

    def grant(self, message, descriptors):
        sockets, files = descriptors[:2], descriptors[2:]
        for name in message["credentials"]:
            if refusal := self.fetch(name):
                for descriptor in descriptors:
                    os.close(descriptor)
                return self.say(op="refused", serial=message["serial"], code=refusal["code"], what=refusal["what"])
        for name, descriptor in zip(message["files"], files):
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.values[name])
        listener = socket.socket(fileno=sockets[0])
        self.jobs[message["job"]] = (message["credentials"], listener, socket.socket(fileno=sockets[1]))
        threading.Thread(target=self.serve, args=(listener, message["credentials"], message["uid"]), daemon=True).start()
        return self.say(op="granted", serial=message["serial"])

    def serve(self, listener, names, uid):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                peer = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if peer[1] != uid:
                    continue
                size = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))[0]
                asked = json.loads(client.recv(size, socket.MSG_WAITALL))
                if asked["op"] == "list":
                    reply = b"\0" + json.dumps(names).encode()
                else:
                    known = asked.get("name") in names
                    reply = b"\0" + self.values[asked["name"]] if known else b"\x5aunknown"
                client.sendall(struct.pack(">I", len(reply)) + reply)

    def resync(self, message):
        for job, (names, *_) in self.jobs.items():
            for name in names:
                if self.fetch(name):
                    self.ask(op="withdraw", job=job, name=name)
                    continue
                _, descriptors = self.ask(op="want-file", job=job, name=name)
                with os.fdopen(descriptors[0], "wb") as file:
                    file.write(self.values[name])
                self.ask(op="filled", job=job, name=name)
        self.say(op="resynced", serial=message["serial"])

    def run(self):
        while True:
            message, descriptors = self.receive()
            if message is None:
                return
            if message["op"] == "grant":
                self.grant(message, descriptors)
            elif message["op"] == "revoke":
                for one in self.jobs.pop(message["job"])[1:]:
                    one.shutdown(socket.SHUT_RDWR)
                    one.close()
                self.say(op="revoked", serial=message["serial"])
            elif message["op"] == "resync":
                self.resync(message)


if __name__ == "__main__":
    Broker(sys.argv[1]).run()
