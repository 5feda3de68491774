"""Looks for planted secrets where none should be: in texts and files, and in all memory of a process."""

import base64
import json
import os
import pathlib
import struct
from urllib.parse import quote, quote_plus

PAGE = os.sysconf("SC_PAGESIZE")
LEAST = 12  # bytes of a form: shorter ones are found by chance


def forms(value):
    """The ways in which a secret may be written, by their names. Bytes that are no text have no textual ones."""
    data = value if isinstance(value, bytes) else value.encode()
    found = {"plain": data, "hex": data.hex().encode()}
    for shift in range(3):  # as it looks inside of a longer text
        middle = base64.b64encode(b"\0" * shift + data)[(0, 2, 3)[shift] : -4]
        found[f"base64 {shift}"] = middle
        found[f"base64url {shift}"] = middle.replace(b"+", b"-").replace(b"/", b"_")
    text = data.decode(errors="surrogateescape")
    found["url"], found["form"] = quote(text, safe="", errors="surrogateescape").encode(), quote_plus(text, safe="", errors="surrogateescape").encode()
    found["json"], found["json, ascii"] = (json.dumps(text, ensure_ascii=a)[1:-1].encode(errors="replace") for a in (False, True))
    found["utf-16"] = text.encode("utf-16-le", errors="replace")
    unique = {}
    for name, form in found.items():
        if form not in unique.values():
            if len(form) < LEAST:
                raise ValueError(f"{name} is too short to be looked for")
            unique[name] = form
    return unique


class Traces:
    """`planted` maps names to secrets. What is found is a dict of (name, form) to the places."""

    def __init__(self, planted):
        self.wanted = [(name, form, data) for name, value in planted.items() for form, data in forms(value).items()]

    def in_bytes(self, data, place, found=None):
        found = {} if found is None else found
        for name, form, wanted in self.wanted:
            if (count := data.count(wanted)) > 0:
                found.setdefault((name, form), []).append((place, count))
        return found

    def in_process(self, pid):
        """In each page that is there: what is not holds zeros, or a file. Returns also how many bytes that were."""
        found, size = {}, 0
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pages:
            for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
                span, rights, *rest = line.split(maxsplit=5)
                start, end = (int(n, 16) for n in span.split("-"))
                if "r" not in rights or rest[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                    continue
                data = b"".join(_read(memory, *run) for run in _present(pages, start, end))
                size += len(data)
                self.in_bytes(data, f"{span} {rights} {rest[-1] if len(rest) > 3 else ''}", found)
        return found, size


def _present(pages, start, end):
    """The runs of pages that are in memory or swapped (proc(5), pagemap)."""
    pages.seek(start // PAGE * 8)
    entries, run = struct.iter_unpack("Q", pages.read((end - start) // PAGE * 8)), None
    for number, (entry,) in enumerate(entries):
        here = start + number * PAGE
        if entry >> 62 and run is None:
            run = here
        elif not entry >> 62 and run is not None:
            yield run, here
            run = None
    if run is not None:
        yield run, end


def _read(memory, start, end):
    memory.seek(start)
    data = b""
    while len(data) < end - start:
        data += memory.read(end - start - len(data))
    return data
