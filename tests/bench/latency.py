"""What requests feel of a dump: their latency under load, with and without dumps, on one gunicorn in one run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from harness import dumps, proc
from harness.gunicorn import Gunicorn, Setting
from harness.load import Load, Report
from harness.waiting import wait_until

SECONDS = 8.0
OBJECTS = 400_000


def without_dumps(server: Gunicorn) -> tuple[Report, int]:
    """A load of `SECONDS`, and nothing else."""
    with Load(server.port) as load:
        time.sleep(SECONDS)
    return load.report, 0


def with_dumps(server: Gunicorn) -> tuple[Report, int]:
    """The same load while the worker is dumped again as soon as it has been dumped."""
    (worker,) = server.workers()
    taken = 0
    end = time.monotonic() + SECONDS
    with Load(server.port) as load:
        while time.monotonic() < end:
            wait_until("the last dump to be over", lambda: not proc.is_dumping(worker))
            os.kill(worker, signal.SIGPROF)
            dump = wait_until("a dump", lambda: dumps.published(server.dumps))[0]
            dumps.sidecar_of(dump).unlink()
            dump.unlink()
            taken += 1
    return load.report, taken


def line(what: str, report: Report, taken: int) -> None:
    """One row of the table."""
    latencies = "".join(f"{report.percentile(fraction) * 1000:>9.1f} ms" for fraction in (0.5, 0.99, 1.0))
    print(f"  {what:<22}{report.served:>9}{len(report.failures):>8}{taken:>7}{latencies}", flush=True)


def bench_latency(folder: Path) -> None:
    """Prints the table."""
    setting = Setting("gthread", workers=1, objects=OBJECTS)
    with Gunicorn(folder, setting) as server:
        without_dumps(server)  # warms up what a first load finds cold
        print(f"\nrequests to a gunicorn (gthread, one worker, {OBJECTS:,} objects), {SECONDS:.0f} s each")
        print(f"  {'':<22}{'served':>9}{'failed':>8}{'dumps':>7}{'p50':>12}{'p99':>12}{'max':>12}")
        line("without dumps", *without_dumps(server))
        line("dump after dump", *with_dumps(server))
