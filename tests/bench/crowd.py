"""Many armed processes: ``python -m bench.crowd N FOLDER``.

Forks N that would dump to FOLDER, says "ready" when all are armed, and ends with its stdin.
"""

from __future__ import annotations

import os
import signal
import sys

import heapsee


def member(folder: str, told: int) -> None:
    """One of them: armed, then idle."""
    heapsee.install_memory_dumper(directory=folder)
    os.write(told, b".")
    signal.pause()


def main(count: int, folder: str) -> None:
    """Forks them, waits until all are armed, and ends them when nobody needs them any more."""
    read, write = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            try:
                member(folder, write)
            finally:
                os._exit(0)
        children.append(child)
    ready = 0
    while ready < count:
        ready += len(os.read(read, count))
    print("ready", flush=True)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
