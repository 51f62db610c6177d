"""What both stories stand on: the repository's paths, commands shown and run, and how a story ends."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo.screen import dim, indented, show, typed
from harness import binaries

ROOT = Path(__file__).resolve().parents[2]


class DemoError(Exception):
    """The story did not go as told."""


def relative(path: Path) -> str:
    """A path as a person in the repository would type it."""
    return os.path.relpath(path, ROOT)


def run_agent(*arguments: str | Path) -> str:
    """Shows and runs one command of the agent; what it printed on stdout."""
    typed("$ ", "heapsee-agent " + " ".join(relative(a) if isinstance(a, Path) else a for a in arguments))
    done = binaries.run(binaries.AGENT, *arguments, timeout=300)
    if done.code != 0:
        raise DemoError(f"heapsee-agent ended with {done.code}: {done.err.strip()}")
    indented(done.err + done.out)
    return done.out.strip()


def perform(folder: Path, tell: Callable[[], None]) -> int:
    """Tells a story in an empty folder; 0 when it went as told."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    try:
        tell()
    except (DemoError, TimeoutError, RuntimeError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    show(dim(f"   {time.monotonic() - started:.0f} seconds"))
    return 0
