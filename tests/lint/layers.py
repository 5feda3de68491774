#!/usr/bin/env python3
"""Includes point down only, and each library's headers stand in one place. docs/architecture.md has the picture."""

import pathlib
import re
import subprocess
import sys

# folder → the folders it may include besides itself
MAY = {
    "agent/base": [],
    "agent/crypto": ["agent/base"],
    "agent/config": ["agent/base"],
    "agent/api": ["agent/base"],
    "agent/ipc": ["agent/base"],
    "agent/vault": ["agent/base", "agent/crypto", "agent/config", "agent/ipc"],
    "agent/broker": ["agent/base", "agent/crypto", "agent/config", "agent/api", "agent/ipc", "agent/vault"],
    "agent/helper": ["agent/base", "agent/ipc"],
    "dmcrypt": ["agent/base", "agent/crypto"],
    "cleanup": ["agent/base"],
    "agent/job": ["agent/base", "agent/crypto", "dmcrypt", "cleanup"],
    "agent/daemon": ["agent/base", "agent/crypto", "agent/config", "agent/api", "agent/ipc", "agent/job", "dmcrypt", "cleanup"],
    "agent/ctl": ["agent/base", "agent/api", "agent/config", "agent/ipc", "agent/job"],
}
# Of these folders, ctl may see only what needs no disk.
ONLY = {("agent/ctl", "agent/job"): ["agent/job/record_verify.hpp", "agent/job/record.hpp"]}

# a library's headers → the files that may include them
LIBRARIES = {
    r"spdlog/": [r"agent/base/log\.cpp"],
    r"libmount/": [r"agent/base/mounts\.cpp"],
    r"systemd/": [r"agent/base/notify\.cpp"],
    r"boost/json(\.hpp|/)": [r"agent/base/(json\.cpp|fields\.hpp)", r"agent/(job|ctl|vault|broker)/\w+\.cpp"],
    r"boost/(asio|beast)": [r"agent/(ipc|vault|broker)/\w+\.cpp", r"agent/ipc/task\.hpp"],
    r"boost/url": [r"agent/vault/url\.cpp"],
    r"openssl/": [r"agent/crypto/\w+\.cpp", r"agent/vault/net_transport\.cpp", r"agent/broker/wipe_on_free\.cpp"],
    r"toml\+\+/": [r"agent/config/parse\.cpp"],
    r"libcryptsetup": [r"dmcrypt/luks\.cpp"],
    r"libdevmapper": [r"dmcrypt/devmapper\.cpp"],
    r"blkid": [r"dmcrypt/disk_content\.cpp"],
    r"keyutils": [r"dmcrypt/luks\.cpp"],
    r"prometheus/": [r"agent/daemon/metrics\.cpp"],
    r"libsmartcols/": [r"agent/ctl/table\.cpp"],
    r"CLI/": [r"agent/ctl/\w+\.cpp", r"agent/(daemon|broker)/main\.cpp"],
}


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "agent" else parts[0]


def problems(path, text):
    here = folder_of(path)
    first = True
    for line, match in enumerate(re.finditer(r'^#include ([<"])([^>"]+)', text, re.M), 1):
        kind, name = match.groups()
        if kind == '"':
            there = folder_of(name)
            if there != here and there not in MAY.get(here, []):
                yield f"{path}: includes {name}: {here} may not include {there}"
            if name not in ONLY.get((here, there), [name]):
                yield f"{path}: includes {name}: only {ONLY[(here, there)]} of {there}"
            own = path.replace(".cpp", ".hpp")
            if first and path.endswith(".cpp") and pathlib.Path(own).exists() and name != own:
                yield f"{path}: its own header is not the first include"
            first = False
        for library, allowed in LIBRARIES.items():
            forward = name.endswith("/fwd.hpp")
            if re.match(library, name) and not forward and not any(re.fullmatch(a, path) for a in allowed):
                yield f"{path}: includes <{name}>, which belongs to {', '.join(allowed)}"
    if re.search(r"#include <boost/asio\.hpp>", text):
        yield f"{path}: includes all of Asio"


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "agent", "dmcrypt", "cleanup"], capture_output=True, text=True, check=True)
    sources = [f for f in files.stdout.split() if f.endswith((".cpp", ".hpp")) and pathlib.Path(f).exists()]
    found = [p for f in sources for p in problems(f, pathlib.Path(f).read_text())]
    found += [f"{f}: {n} lines, 300 are allowed" for f in sources if (n := len(pathlib.Path(f).read_text().splitlines())) > 300]
    print("\n".join(found) or f"{len(sources)} files, all includes point down")
    return 1 if found or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
