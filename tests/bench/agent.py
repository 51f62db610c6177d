"""What the agent costs the host: a list of many armed processes, and the daemon that watches them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from harness import binaries, proc
from harness.daemon import Daemon
from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

PROCESSES = 200
LISTS = 5
SECONDS = 30.0
RULES = """\
[[rule]]
name = "fat"
trigger = "rss"
above = "64GB"

[[rule]]
name = "growing"
trigger = "slope"
above = "64GB/h"
window = "30m"

[[rule]]
name = "near-the-limit"
trigger = "cgroup"
above = "99%"
"""


@contextlib.contextmanager
def crowd(folder: Path) -> Iterator[None]:
    """`PROCESSES` armed processes."""
    command = [sys.executable, "-m", "bench.crowd", str(PROCESSES), str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, preexec_fn=end_with_parent, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.stdin.close()


def processor_seconds(pid: int) -> float:
    """What a process has had of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def list_seconds() -> float:
    """How long `heapsee-agent list` takes."""
    started = time.perf_counter()
    rows = binaries.run(binaries.AGENT, "list", "--json").check().out.count('"armed": true')
    assert rows >= PROCESSES, rows
    return time.perf_counter() - started


def bench_agent(folder: Path) -> None:
    """Prints the figures."""
    with crowd(folder):
        lists = sorted(list_seconds() for _ in range(LISTS))
        print(f"\nthe agent, with {PROCESSES} armed processes on the host")
        print(f"  {'list':<34}{lists[LISTS // 2]:>14.2f} s   the median of {LISTS}", flush=True)
        with Daemon(folder / "agent", RULES, poll="5s") as daemon:
            pid = daemon.status()["pid"]
            wait_until("the first look", lambda: daemon.status()["workers"]["armed"] >= PROCESSES)
            before = processor_seconds(pid)
            time.sleep(SECONDS)
            share = (processor_seconds(pid) - before) / SECONDS
            print(f"  {'the daemon, of one processor':<34}{share * 100:>14.2f} %   over {SECONDS:.0f} s, by default")
            print(f"  {'its resident memory':<34}{proc.rss(pid) / 1e6:>13.1f} MB", flush=True)
