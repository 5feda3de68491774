"""A shell in the test machine: ./dev vm. Two disks are configured; scratchd and scratchctl are in the path."""

import os
import select
import sys
import termios
import tty

from machine import BIN
from node import Node

WELCOME = """The fast test machine: a real kernel, two empty disks, everything is gone when you leave.
  scratchd &                       starts the daemon
  scratchctl job begin 1 --user alice
"""


def main():
    if "--full" in sys.argv:
        from full_node import FullNode

        node, path = FullNode(), "/usr/sbin:/usr/bin:/sbin:/bin"
    else:
        node, path = Node(), f"{BIN.resolve()}:/usr/sbin:/usr/bin:/sbin:/bin"
    with node:
        print(WELCOME, flush=True)
        size = os.get_terminal_size()
        shell = node.machine.spawn(["script", "-qfc", f"stty rows {size.lines} cols {size.columns}; exec bash --norc", "/dev/null"],
                                   env={"PATH": path, "TERM": os.environ.get("TERM", "vt100"), "PS1": "scratch-test# "})  # fmt: skip
        before = termios.tcgetattr(0)
        tty.setraw(0)
        shown = 0
        try:
            while shell.code is None:
                shell.poll(0.02)
                sys.stdout.buffer.write(bytes(shell.out[shown:]))
                sys.stdout.flush()
                shown = len(shell.out)
                if select.select([0], [], [], 0)[0]:
                    shell.input(os.read(0, 4096))
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)


if __name__ == "__main__":
    main()
