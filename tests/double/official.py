"""The npm packages of js/: installed once, outside the tree, under a name that follows the lock file."""

import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

JS = pathlib.Path(__file__).resolve().parent / "js"


def node():
    """The program; SCRATCHD_NODE names another than the one in the path."""
    return os.environ.get("SCRATCHD_NODE", "node")


def packages():
    """The folder node_modules with everything in js/package-lock.json; installs it when it is not there."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "scratchd"
    cache.mkdir(parents=True, exist_ok=True)
    name = "js-" + hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()[:16]
    with open(cache / "js.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / name).is_dir():
            _install(cache, name)
    return cache / name / "node_modules"


def _install(cache, name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache))
    try:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(JS / file, folder)
        how = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
        done = subprocess.run(["npm", "ci", *how], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm ci: {done.stderr}")
        folder.rename(cache / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def call(azure, credential, *steps, env=None, timeout=120, **how):
    """Runs js/clients.mjs inside, in a process of its own: MSAL keeps a cache of tokens for the whole process.

    Returns one result for each step: {"ok": ...} or {"error": {...}}.
    """
    environment = {"NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt", "SCRATCHD_NODE_MODULES": str(packages()), **(env or {})}
    program = [node(), str(JS / "clients.mjs"), json.dumps({"credential": credential, "steps": steps})]
    done = azure.run(program, env=environment, timeout=timeout, **how)
    if done.returncode:
        raise RuntimeError(f"clients.mjs gave {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)
