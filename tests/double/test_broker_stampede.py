"""A thousand who want the same thing at once cost the services one request each; a thousand readers see whole values."""

import threading
import unittest

import faults
import unit_client
from broker import Case, config, secret

JOBS, UNITS, NAMES = 100, 700, ("a", "b", "c")  # with three credentials a job: a thousand
UNIT = "train.service"
ROTATIONS, READS, LENGTH = 100, 1000, 20_000


def together(works):
    """Runs them all at once; returns what each returned, or raises what one raised."""
    outcomes = [None] * len(works)

    def run(number):
        try:
            outcomes[number] = (works[number](), None)
        except BaseException as problem:
            outcomes[number] = (None, problem)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, problem in outcomes:
        if problem:
            raise problem
    return [result for result, _ in outcomes]


class Stampede(Case):
    def setUp(self):
        super().setUp()
        for name in NAMES:
            self.vault.set(name, f"value of {name}")
        self.side = self.broker(config([secret(name, users=["alice"], units=[UNIT]) for name in NAMES]))

    def held(self):
        """The vault and the identity endpoint answer when the returned event is set."""
        event = threading.Event()
        self.addCleanup(event.set)
        for service in ("vault", "imds"):
            self.azure.fault(service, faults.late(event), times=None)
        return event

    def asked(self):
        return {path: len(self.azure.records.of(service, path)) for service, path in
                (("imds", "/metadata/identity"), *(("vault", f"/secrets/{name}") for name in NAMES))}  # fmt: skip

    def test_jobs_and_units_at_once(self):
        event, sent = self.held(), threading.Semaphore(0)
        send = self.side.send

        def counted(message, descriptors=()):
            send(message, descriptors)
            if message["op"] == "grant":
                sent.release()

        self.side.send = counted
        path = self.side.runtime / "credential.sock"
        units = [unit_client.connect(path, UNIT, NAMES[n % 3]) for n in range(UNITS)]

        def release():
            for _ in range(JOBS):
                sent.acquire()
            self.side.request({"op": "revoke", "job": "nobody"})  # it has read all grants that came before
            event.set()

        *jobs, _ = together([*((lambda n=n: self.side.grant(f"{n}", NAMES, uid=2000 + n)) for n in range(JOBS)), release])
        self.assertEqual([unit_client.read(c) for c in units], [f"value of {NAMES[n % 3]}".encode() for n in range(UNITS)])
        for job in jobs:
            self.assertEqual([job.read(name) for name in NAMES], [f"value of {name}".encode() for name in NAMES])
        self.assertEqual(set(self.asked().values()), {1}, self.asked())
        self.azure.records.clear()
        self.assertEqual(together([lambda job=job: job.client().get("a") for job in jobs]), [b"value of a"] * JOBS)
        self.assertEqual(self.azure.records.of(), [])
        together([lambda n=n: self.side.revoke(f"{n}", timeout=20) for n in range(JOBS)])

    def test_all_are_refused_together(self):
        self.vault.forbid("b")
        self.addCleanup(self.vault.forbid, "b", None)
        codes = together([lambda n=n: self.refused(self.side, f"{n}", NAMES) for n in range(20)])
        self.assertEqual({refused.code for refused in codes}, {100})
        self.assertLessEqual(len(self.azure.records.of("imds")), 1)

    def test_no_reader_sees_half_of_a_rotation(self):
        versions = [f"{n:04}" * (LENGTH // 4) for n in range(ROTATIONS + 1)]
        self.vault.set("a", versions[0])
        job = self.side.grant("17", ["a"])
        whole, done, counts = {v.encode() for v in versions}, threading.Event(), []

        def reads(read):
            seen, count = set(), 0
            while not done.is_set() or count < READS // 2:
                value, count = read("a"), count + 1
                self.assertIn(value, whole)  # neither short nor mixed
                seen.add(value[:4])
            counts.append((count, len(seen)))

        def rotate():
            try:
                for version in versions[1:]:
                    self.vault.set("a", version)
                    self.assertNotIn("code", self.side.resync())
                    self.assertEqual(job.read("a"), version.encode())
                    self.assertEqual(job.client().get("a"), version.encode())
            finally:
                done.set()

        together([rotate, *(lambda read=read: reads(read) for read in (job.read, job.client().get) for _ in range(2))])
        self.assertGreaterEqual(sum(count for count, _ in counts), 2 * READS)
        self.assertGreater(max(seen for _, seen in counts), ROTATIONS // 4)  # they did read while it rotated
        self.assertEqual(len(self.side.asked("filled")), ROTATIONS)


if __name__ == "__main__":
    unittest.main()
