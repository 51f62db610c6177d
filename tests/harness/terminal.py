"""A program at a terminal of its own: what a person types, and what they see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
CTRL_C = "\x03"
CTRL_D = "\x04"
TAB = "\t"


class Terminal:
    """A program that believes a person sits before it."""

    def __init__(
        self, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path, columns: int = 100, lines: int = 30
    ) -> None:
        self.end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", **env},
            cwd=cwd,
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.end)

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self.end, text.encode())

    def expect(self, pattern: str, seconds: float = 20.0) -> str:
        """Waits until this can be seen behind what was waited for last; what stood there up to its end."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen, re.MULTILINE)
            if found:
                shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
                return shown
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} was never seen; this was: {self.seen[-2000:]!r}"
            ready, _, _ = select.select([self.end], [], [], left)
            if ready:
                self.seen += CONTROL.sub("", read(self.end).decode(errors="replace"))

    def wait(self, seconds: float = 60.0) -> int:
        """Waits for the program to end; its exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running; seen: {self.seen[-2000:]!r}"
            # What nobody reads would keep it from ending.
            if select.select([self.end], [], [], 0.05)[0]:
                self.seen += CONTROL.sub("", read(self.end).decode(errors="replace"))
        return self.process.returncode


def take_terminal() -> None:
    """In the child: leads a session whose terminal is its standard input."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read(descriptor: int) -> bytes:
    """What is there; nothing if the other side has closed."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""
