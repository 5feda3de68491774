#!/usr/bin/env python3
"""Coroutine shapes that g++ 12 compiles into a crash, or not at all. They are refused while that compiler must build too.

Bind to a named local first: auto r = co_await f(); if (!r) ...  and  spec s{...}; co_await begin(std::move(s));
"""

import pathlib
import re
import subprocess
import sys

SHAPES = {
    r"(if|while|switch)\s*\(\s*\(*\s*co_await\b": "co_await inside a condition",
    r"\?[^;:]*\bco_await\b|\bco_await\b[^;]*\?[^;]*:": "co_await beside ?:",
    r"co_await\s+[\w:.>-]+\([^;]*\{[^}]*\}": "a braced temporary as argument of an awaited call",
    r"co_await[^;]*\[[^\]]*\]\s*(\([^)]*\))?\s*(mutable)?\s*\{": "a lambda inside an awaited expression",
    r"for\s*\([^;)]*:\s*co_await\b": "co_await as the range of a for",
}


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "agent", "dmcrypt", "cleanup", "tests"], capture_output=True, text=True, check=True)
    found, seen = [], 0
    for name in files.stdout.split():
        if not name.endswith((".cpp", ".hpp")) or not pathlib.Path(name).exists():
            continue
        text = re.sub(r"//[^\n]*", "", pathlib.Path(name).read_text())
        seen += text.count("co_await")
        for shape, words in SHAPES.items():
            for match in re.finditer(shape, text):
                found.append(f"{name}:{text[: match.start()].count(chr(10)) + 1}: {words}")
    print("\n".join(found) or f"{seen} co_await, none in a shape that g++ 12 breaks")
    return 1 if found or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
