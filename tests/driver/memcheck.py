"""The extension under valgrind's memcheck: no read or write of ours goes where it must not.

Takes a dump in the worker itself and one from a copy, which valgrind follows too. What CPython does wrong by itself
(it reads numbers from bytes it has not set) is none of our business: only stacks with a function of ours in them count.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from console import StepError, run, say

OURS = "_heapsee"
"""In a frame of valgrind's: the extension's crate in a function's name, or its file."""

MODES = ("inline", "fork")

PROGRAM = """
import os, signal, sys, time, heapsee
heapsee.install_memory_dumper(directory=sys.argv[2], mode=sys.argv[1], gil_timeout=None)
kept = [{"a": i, "b": [str(i)], "c": {i}} for i in range(500)]
heapsee.size_of(kept), heapsee.get_referents(kept)
os.kill(os.getpid(), signal.SIGPROF)
end = time.monotonic() + 300
while not heapsee.status()["dumps_finished"] and time.monotonic() < end: time.sleep(0.02)
heapsee.uninstall_memory_dumper()
sys.exit(heapsee.status()["last_error"] or not heapsee.status()["last_path"])
"""


def has_valgrind() -> bool:
    """Whether this machine has valgrind."""
    return shutil.which("valgrind") is not None


def check_memory(interpreter: Path) -> str:
    """One dump of each mode; raises `StepError` with the first stack in which we did wrong."""
    with tempfile.TemporaryDirectory(prefix="heapsee-memcheck-") as name:
        for mode in MODES:
            folder = Path(name) / mode
            folder.mkdir()
            watch(interpreter, mode, folder)
            logs = sorted(folder.glob("*.log"))
            wanted = 2 if mode == "fork" else 1
            if len(logs) != wanted:
                raise StepError(f"valgrind has watched {len(logs)} processes of {wanted} ({mode})")
            errors = [error for log in logs for error in errors_of(log.read_text()) if OURS in error]
            if errors:
                raise StepError(f"{len(errors)} errors of memory in a dump by {mode}, the first:\n{errors[0]}")
            say(f"{mode}: no error of ours in {wanted} process{'es' * (wanted > 1)}")
    return ""


def watch(interpreter: Path, mode: str, folder: Path) -> None:
    """Runs the program under valgrind, which leaves a log for each process."""
    command: list[str | Path] = [
        "valgrind",
        "--quiet",
        "--error-limit=no",
        "--num-callers=40",
        f"--log-file={folder}/%p.log",
        interpreter,
        "-c",
        PROGRAM,
        mode,
        folder,
    ]
    # Python's own allocator hands out parts of what valgrind sees as one block.
    run(command, env={"PYTHONMALLOC": "malloc"}, quiet=True)


def errors_of(log: str) -> list[str]:
    """The errors of a log, each with its stack: what is between empty lines."""
    errors: list[str] = []
    block: list[str] = []
    for line in log.splitlines():
        text = line.partition("== ")[2]
        if text.strip():
            block.append(text)
            continue
        errors.extend(["\n".join(block)] if block else [])
        block = []
    return [*errors, "\n".join(block)] if block else errors
