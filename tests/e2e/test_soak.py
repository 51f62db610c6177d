"""One worker that serves is dumped a hundred times in a row, and has nothing more afterwards than before.

``HEAPSEE_SOAK=5000`` and ``make soak`` make it that many times.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import dumps, proc
from harness.gunicorn import Gunicorn, Setting
from harness.load import Load
from harness.waiting import wait_until

pytestmark = pytest.mark.outermost

DUMPS = int(os.environ.get("HEAPSEE_SOAK", "100"))
WARM_UP = 50
"""So many dumps first: stacks of threads that have ended are kept for the next, and the allocator's free lists fill."""

RESIDENT_SLACK = 4 << 20
"""What the application itself may come to need meanwhile, in bytes, however many dumps there are."""
MAPPED_SLACK = 16 << 20
MAPPINGS_SLACK = 8


@dataclass(frozen=True)
class Size:
    """What grows in a process that leaks."""

    resident: int
    data: int
    mappings: int

    @classmethod
    def of(cls, pid: int) -> Size:
        """That of a live process."""
        data = int(proc.status(pid)["VmData"].split()[0]) * 1024
        return cls(proc.rss(pid), data, len(Path(f"/proc/{pid}/maps").read_text().splitlines()))


def dump_once(pid: int, folder: Path) -> None:
    """Asks, waits for the file and takes it away."""
    os.kill(pid, signal.SIGPROF)
    (dump,) = wait_until("a dump", lambda: dumps.published(folder))
    size = dump.stat().st_size
    assert size > 100_000, f"{dump} has {size} bytes"
    dumps.sidecar_of(dump).unlink()
    dump.unlink()


def footprint(pid: int) -> proc.Footprint:
    """What the worker has once its last dump is over."""
    wait_until("the last dump to be over", lambda: proc.is_at_rest(pid))
    return proc.Footprint.of(pid)


def test_nothing_grows(tmp_path: Path) -> None:
    with Gunicorn(tmp_path, Setting("sync", workers=1, objects=2000)) as server:
        (pid,) = server.workers()
        with Load(server.port, clients=2, rate=10) as load:
            for _ in range(WARM_UP):
                dump_once(pid, server.dumps)
            before, small = footprint(pid), Size.of(pid)
            for _ in range(DUMPS):
                dump_once(pid, server.dumps)
        after, large = footprint(pid), Size.of(pid)
        print(f"{DUMPS} dumps, {load.report.served} requests: {small} → {large}")
        assert load.report.failures == []
        assert load.report.served > 0
        assert server.workers() == [pid]
        assert after.is_within(before), f"{before} → {after}"
        assert large.resident - small.resident < RESIDENT_SLACK
        assert large.data - small.data < MAPPED_SLACK
        assert large.mappings - small.mappings <= MAPPINGS_SLACK
