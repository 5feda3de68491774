#!/usr/bin/env python3
"""Who links what: the root daemon has no TLS, the command line no disk; all are hardened. Arguments: the programs."""

import re
import subprocess
import sys

NEVER = {
    "scratchd": ["libssl", "libcurl", "libresolv"],
    "scratchctl": ["libcryptsetup", "libdevmapper", "libblkid", "libssl"],
    "docker-credential-scratchd": ["libcryptsetup", "libdevmapper", "libblkid", "libmount", "libssl", "libcrypto", "libspdlog", "libboost"],
    "scratchd-broker": ["libcryptsetup", "libdevmapper", "libblkid", "libmount"],
}


def read(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def problems(program):
    name = program.rsplit("/", 1)[-1]
    dynamic = read("readelf", "-d", program)
    needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
    for library in NEVER[name]:
        if any(n.startswith(library) for n in needed):
            yield f"{name} links {library}"
    symbols = read("nm", "-D", "--undefined-only", program)
    if name == "scratchd" and re.search(r"\bSSL_", symbols):
        yield f"{name} uses TLS"
    for call in ("system", "popen", "setenv", "putenv"):
        if re.search(rf" {call}(@|$)", symbols, re.M):
            yield f"{name} calls {call}()"
    if "BIND_NOW" not in dynamic or "PIE" not in dynamic:
        yield f"{name} is not linked with -z now and -pie"
    if "GNU_RELRO" not in read("readelf", "-lW", program):
        yield f"{name} has no RELRO"
    if "__stack_chk_fail" not in symbols:
        yield f"{name} has no stack protector"


def main():
    found = [p for program in sys.argv[1:] for p in problems(program)]
    print("\n".join(found) or f"{len(sys.argv) - 1} programs, linked as they should be")
    return 1 if found or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
