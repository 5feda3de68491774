#!/usr/bin/env python3
"""clang-tidy over the product's sources; a file that passed is not looked at again until it, a header or the rules change."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

PRODUCT = ("agent/", "dmcrypt/", "cleanup/")


def main():
    build = pathlib.Path(sys.argv[1])
    root = pathlib.Path.cwd()
    commands = {e["file"]: e for e in json.loads((build / "compile_commands.json").read_text())}
    sources = [f for f in commands if str(pathlib.Path(f).relative_to(root)).startswith(PRODUCT)]
    headers = b"".join(p.read_bytes() for p in sorted(root.rglob("*.hpp")) if "build" not in p.parts)
    rules = (root / ".clang-tidy").read_bytes()
    cache = build / "tidy-passed"
    cache.mkdir(exist_ok=True)

    def check(source):
        mark = cache / hashlib.sha256(headers + rules + pathlib.Path(source).read_bytes()).hexdigest()
        if mark.exists():
            return source, ""
        done = subprocess.run(["clang-tidy-19", "-p", str(build), "--quiet", source], capture_output=True, text=True)
        if done.returncode == 0:
            mark.touch()
            return source, ""
        return source, done.stdout + done.stderr

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, words in pool.map(check, sources):
            if words:
                failed += 1
                print(f"--- {source}\n{words}", flush=True)
    print(f"clang-tidy: {len(sources) - failed} files passed, {failed} failed")
    return 1 if failed or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
