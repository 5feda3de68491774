#!/usr/bin/env python3
"""Words that must not stand in the tree: shells, the environment as a way in, clocks in tests, things left open."""

import pathlib
import re
import subprocess
import sys

PRODUCT = ("agent/", "dmcrypt/", "cleanup/")
RULES = [
    (PRODUCT, r"\b(std::)?system\(|\bpopen\(|/bin/sh", "a shell"),
    (PRODUCT, r"\b(setenv|putenv)\(", "the environment is written"),
    (PRODUCT, r"remove_all\(|rm -r", "a recursive delete"),
    (PRODUCT, r"catch \(\.\.\.\)", "an error swallowed"),
    (PRODUCT, r"\bRAND_(priv_)?bytes|RAND_poll", "OpenSSL's generator keeps AES schedules in memory"),
    (PRODUCT, r"std::string\s+\w*(secret|password|token)\b", "a secret in a std::string"),
    (("tests/",), r"sleep_for|\btime\.sleep\((?!0\.0)", "a test that waits by the clock"),
    (("",), r"\b(TODO|FIXME|XXX|HACK)\b", "something left open"),
    (("",), r"https?://[\w.]*(debian\.org|ubuntu\.com|npmjs)", "the name of a package host"),
    (("",), r"/(root|home)/[a-z]", "a path of one machine"),
]
EXEMPT = {"tests/lint/words.py", ".gitignore"}


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True).stdout.split()
    found = []
    for name in files:
        path = pathlib.Path(name)
        if name in EXEMPT or not path.is_file() or path.is_symlink():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for folders, pattern, words in RULES:
            if name.startswith(folders):
                for match in re.finditer(pattern, text):
                    found.append(f"{name}:{text[: match.start()].count(chr(10)) + 1}: {words}: {match.group(0)}")
    print("\n".join(found) or f"{len(files)} files, none of the words")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
