#!/usr/bin/env python3
"""Signatures per second from our agent and from ssh-agent, in turns in one run, and what a `get` costs.

One connection mostly measures how fast the kernel wakes the other process; eight show what the agent itself needs.

usage: agent_bench.py BIN [SECONDS] [ROUNDS]      BIN: the folder with socket_host, sign_rate, docker-credential-scratchd
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("SCRATCHD_BIN", sys.argv[1] if len(sys.argv) > 1 else "build/release/bin")
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "component"))
from host import BIN, Job, run  # noqa: E402

KEYS = {"ed25519": ["-t", "ed25519"], "ecdsa": ["-t", "ecdsa", "-b", "256"], "rsa": ["-t", "rsa", "-b", "3072"]}
GOALS = {"ssh-ed25519": 10, "ecdsa-sha2-nistp256": 15, "ssh-rsa": 1.5}


def rates(*argv):
    lines = subprocess.run([str(BIN / "sign_rate"), *map(str, argv)], capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: tuple(map(float, numbers)) for name, *numbers in (line.split() for line in lines)}


def helper_times(env, server, count=200):
    took = []
    for _ in range(count):
        start = time.perf_counter()
        subprocess.run([str(BIN / "docker-credential-scratchd"), "get"], input=server, env=env, capture_output=True, text=True, check=True)
        took.append((time.perf_counter() - start) * 1000)
    return statistics.quantiles(took, n=100)


def compare(job, agent, seconds, connections, rounds):
    measured = [(rates(job, seconds, connections), rates(agent, seconds, connections)) for _ in range(rounds)]
    print(f"{connections} connection(s)")
    for kind in measured[0][0]:
        rate, p50 = ([statistics.median(m[who][kind][column] for m in measured) for who in (0, 1)] for column in (0, 1))
        goal = f"   goal {GOALS[kind]}" if kind in GOALS else ""
        print(f"  {kind:20} ours {rate[0]:6.0f}/s p50 {p50[0]:7.1f} us   ssh-agent {rate[1]:6.0f}/s p50 {p50[1]:7.1f} us   ratio {rate[0] / rate[1]:5.2f}{goal}")


def main():
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for key, how in KEYS.items():
            run("ssh-keygen", "-q", "-N", "", "-C", key, "-f", folder / key, *how)
        (folder / "data").write_text("x" * 100)
        theirs = folder / "ssh-agent.sock"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(theirs)], stdout=subprocess.DEVNULL)
        job = Job(["quiet"] + [w for k in KEYS for w in ("ssh", k, folder / k, "-")] + ["registry", "r", "r.example", "u", folder / "data", "secret", "data", folder / "data"])
        try:
            while not theirs.exists():
                time.sleep(0.01)
            for key in KEYS:
                run("ssh-add", "-q", folder / key, env={"SSH_AUTH_SOCK": str(theirs)})
            for connections in 1, 8:
                compare(job.agent, theirs, seconds, connections, rounds)
            for connections, goal in (1, 200), (32, 2000):
                rate, p50, p99 = rates("--get", job.socket, seconds, connections)["get"]
                print(f"socket get, {connections:2} connections {rate:8.0f}/s p50 {p50:.1f} us p99 {p99:.1f} us   goal p99 {goal}")
            took = helper_times({"DOCKER_CONFIG": str(job.docker)}, "r.example")
            print(f"{'helper get, process':22} p50 {took[49]:.2f} ms p99 {took[98]:.2f} ms   goal p50 3")
        finally:
            agent.terminate()
            agent.wait()
            job.end()


if __name__ == "__main__":
    main()
