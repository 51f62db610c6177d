"""The process that is dumped by the benchmark: ``python -m bench.subject OBJECTS FOLDER``.

Builds the two-stores heap, times bare forks of itself, dumps itself a few times by signal while a thread watches for
pauses, and prints what it saw as JSON. The last dump stays in FOLDER. The environment's ``BYTES`` is how much the heap
holds besides in large values: a clone costs by the page, a walk by the object.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import heapsee
from harness import dumps, proc
from harness.waiting import wait_until
from heaps import stories

FORKS = 7
DUMPS = 3
VALUE = 1 << 20


def bare_fork() -> float:
    """Seconds that a fork of this process takes, for the parent."""
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    taken = time.perf_counter() - started
    os.waitpid(child, 0)
    return taken


class Watch:
    """A thread that does nothing but run Python, and remembers for how long at most it could not."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        last = time.perf_counter()
        while not self._over.is_set():
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def dump_once(folder: Path) -> dict[str, Any]:
    """One dump by signal, observed from inside."""
    for old in folder.iterdir():
        old.unlink()
    with Watch() as watch:
        # The watching thread must have settled before the pause it is to see.
        wait_until("the watch to run", lambda: watch.longest > 0)
        watch.longest = 0.0
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        started = time.perf_counter()
        os.kill(os.getpid(), signal.SIGPROF)
        dump = wait_until("the dump", lambda: dumps.published(folder), 600)[0]
        seconds = time.perf_counter() - started
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    meta = json.loads(dumps.sidecar_of(dump).read_text())
    copied = faults * resource.getpagesize()
    return {"seconds": seconds, "seen_pause": watch.longest, "copied": copied, "meta": meta, "path": str(dump)}


def main(objects: int, folder: Path) -> None:
    """Builds, measures, tells."""
    stories.build_two_stores(objects)
    values = [bytes([number % 255 + 1]) * VALUE for number in range(int(os.environ.get("BYTES", "0")) // VALUE)]
    forks = [bare_fork() for _ in range(FORKS)]
    heapsee.install_memory_dumper(directory=str(folder))
    seen = [dump_once(folder) for _ in range(DUMPS)]
    print(json.dumps({"rss": proc.rss(os.getpid()), "forks": forks, "dumps": seen}))
    del values


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
