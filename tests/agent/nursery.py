"""Bears fake workers at little cost: each is a fork of one Python that has imported what they need.

A line on stdin asks, and a line on stdout answers: ``bear ARGUMENTS`` with the pid of a fake worker that answers its
signal from now on, ``end PID`` when that one was killed and waited for. Those that are left end with this program.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import NoReturn

FAKE_WORKER = Path(__file__).resolve().parents[2] / "agent" / "tests" / "it" / "fake_worker.py"
IMPORTED = ("argparse", "ctypes", "datetime", "hashlib", "json", "mmap", "select", "struct")


class Nursery:
    """The workers that live."""

    def __init__(self, program: CodeType, directory: str) -> None:
        self.program = program
        self.directory = directory
        self.outputs: dict[int, int] = {}
        """Of each worker, the end of its stdout. It is read once, and holds all that a worker says in its life."""
        self.silence, self.kept_open = os.pipe()
        """Their stdin, on which nothing ever comes, and whose other end is open as long as this program runs."""

    def bear(self, *arguments: str) -> int:
        """One more; its pid."""
        heard, said = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.live(said, arguments)
        os.close(said)
        self.outputs[pid] = heard
        assert os.read(heard, 6) == b"ready\n"
        return pid

    def live(self, said: int, arguments: tuple[str, ...]) -> NoReturn:
        """What the fork does."""
        try:
            os.dup2(self.silence, 0)
            os.dup2(said, 1)
            os.closerange(3, max(said, self.kept_open, *self.outputs, 3) + 1)
            sys.argv = [str(FAKE_WORKER), self.directory, *arguments]
            exec(self.program, {"__name__": "__main__"})
        finally:
            os._exit(0)

    def end(self, pid: str) -> int:
        """No longer there; its pid."""
        os.kill(int(pid), signal.SIGKILL)
        os.waitpid(int(pid), 0)
        os.close(self.outputs.pop(int(pid)))
        return int(pid)


def main(directory: str) -> None:
    """Answers until there is nothing more to read."""
    for name in IMPORTED:
        importlib.import_module(name)
    nursery = Nursery(compile(FAKE_WORKER.read_text(), str(FAKE_WORKER), "exec"), directory)
    verbs: dict[str, Callable[..., int]] = {"bear": nursery.bear, "end": nursery.end}
    for line in iter(sys.stdin.readline, ""):
        verb, *arguments = line.split()
        print(verbs[verb](*arguments), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
