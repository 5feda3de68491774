#!/usr/bin/env python3
"""No failpoint gets into a release: its preset does not ask for them, and without them no name of one is compiled."""

import json
import pathlib
import re
import subprocess
import sys

COMPILER = sys.argv[1]


def settings(presets, name):
    """The cache variables of a configure preset with all it inherits, the preset's own last."""
    preset = presets[name]
    parents = preset.get("inherits", [])
    merged = {}
    for parent in [parents] if isinstance(parents, str) else reversed(parents):
        merged |= settings(presets, parent)
    return merged | preset.get("cacheVariables", {})


def problems():
    presets = {p["name"]: p for p in json.loads(pathlib.Path("CMakePresets.json").read_text())["configurePresets"]}
    if settings(presets, "release").get("SCRATCHD_FAILPOINTS", "OFF") != "OFF":
        yield "the release preset turns failpoints on"
    if not re.search(r'option\(SCRATCHD_FAILPOINTS "[^"]*" OFF\)', pathlib.Path("CMakeLists.txt").read_text()):
        yield "failpoints are not off by default"
    sources = [p for d in ("agent", "dmcrypt", "cleanup") for p in pathlib.Path(d).rglob("*.cpp") if "FAILPOINT" in p.read_text()]
    if len(sources) < 3:
        yield "the search for sources with failpoints is broken"
    for source in sources:
        text = subprocess.run([COMPILER, "-std=c++23", "-D_GNU_SOURCE", "-I.", "-E", "-P", source], capture_output=True, text=True, check=True).stdout
        for line in text.splitlines():
            if re.search("failpoint", line, re.I):
                yield f"{source}: {line.strip()[:100]}"


found = list(problems())
print("\n".join(found) or "no failpoint in a release")
sys.exit(1 if found else 0)
