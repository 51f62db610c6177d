"""What the driver prints, and how it runs commands. Decides nothing about what is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


class Meter(threading.local):
    """Processor seconds of the commands that this thread has run, and of what they have started and waited for."""

    seconds = 0.0


METER = Meter()

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


class StepError(Exception):
    """Something that a person has to mend; the message says what and how."""


def heading(text: str) -> None:
    """Prints a section's heading."""
    line = f"── {text} "
    print(f"\n{line:─<100}", flush=True)


def say(text: str) -> None:
    """Prints one line at once, in order with what the commands print."""
    print(text, flush=True)


def shown(command: Sequence[str]) -> str:
    """The command as a person would type it, with paths relative to the repository."""
    return " ".join(str(part).replace(f"{ROOT}{os.sep}", "") for part in command)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    quiet: bool = False,
    label: str = "",
    timeout: float = 3600,
) -> str:
    """Runs a command and returns what it printed; raises `StepError` when it fails or is not done in `timeout` s.

    What it prints is shown while it runs, each line behind the `label`, or, with `quiet`, only when it fails.
    """
    parts = [str(part) for part in command]
    with subprocess.Popen(
        parts,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        # A timer, because a command that hangs prints nothing to wake us.
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            process.kill()

        timer = threading.Timer(timeout, end)
        timer.start()
        try:
            output = copy_output(process, None if quiet else label)
            status = reap(process)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if status != 0 and quiet:
        sys.stdout.write(output)
    if overdue.is_set():
        raise StepError(f"gave up after {timeout:.0f} s: {shown(parts)}")
    if status != 0:
        raise StepError(f"exit {status}: {shown(parts)}")
    return output


def reap(process: subprocess.Popen[str]) -> int:
    """Waits for a command's end; its exit status. Its processor time goes to this thread's meter."""
    _, status, usage = os.wait4(process.pid, 0)
    METER.seconds += usage.ru_utime + usage.ru_stime
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def copy_output(process: subprocess.Popen[str], label: str | None) -> str:
    """Reads what a command prints to its end, showing it on the way unless there is no label to show it behind."""
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if label is not None:
            # In one piece, because another command may be printing.
            sys.stdout.write(f"{label} │ {line}" if label else line)
            sys.stdout.flush()
    return "".join(lines)


CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.MULTILINE)
PYTEST_RESULT = re.compile(r"^=*\s*(?:\d+ failed, )?(\d+) passed.* in [\d.]+s", re.MULTILINE)


def tests_passed(output: str) -> int:
    """How many tests a run of cargo or pytest reports as passed."""
    cargo = sum(int(passed) for passed, _, _ in CARGO_RESULT.findall(output))
    return cargo + sum(int(passed) for passed in PYTEST_RESULT.findall(output))


def tests_ignored(output: str) -> int:
    """How many tests cargo left out; pytest's skips are failures already, see ``tests/harness/no_skips.py``."""
    return sum(int(ignored) for _, _, ignored in CARGO_RESULT.findall(output))
