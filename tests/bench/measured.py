"""A program's run, with its peak memory and the second at which each of its lines came."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Measured:
    """How a program went: its output, the second at which each line came, its peak memory in bytes, and its time."""

    lines: list[tuple[float, str]]
    peak: int
    seconds: float

    def seconds_between(self, before: str, after: str) -> float:
        """Time between the lines of these texts."""
        at = {text: when for when, text in self.lines}
        return at[after] - at[before]

    def text(self) -> str:
        """All of it."""
        return "\n".join(text for _, text in self.lines)


def measure(command: list[str | Path], commands: str = "") -> Measured:
    """Runs a program, feeding it `commands`; its own peak memory comes from the kernel when it is waited for."""
    started = time.perf_counter()
    with subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(commands)
        process.stdin.close()
        lines = [(time.perf_counter(), line.rstrip("\n")) for line in process.stdout]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"exit {process.returncode}: {' '.join(map(str, command))}")
    return Measured(lines, usage.ru_maxrss * 1024, time.perf_counter() - started)
