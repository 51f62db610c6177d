"""The agent's daemon beside a real gunicorn that leaks: rules, workers that die and are replaced, readable dumps."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness import binaries, proc
from harness.daemon import Daemon
from harness.gunicorn import Gunicorn, Setting
from harness.waiting import wait_until

pytestmark = pytest.mark.outermost

GROWTH = 25_000_000
RULE = """\
[[rule]]
name = "fat"
trigger = "rss"
above = "{above}MB"
polls = 1
select = {{ app = "demo.leaky*", server = "gunicorn" }}
"""


def grow_until(server: Gunicorn, daemon: Daemon, dumps: int) -> dict[str, Any]:
    """Has requests leak until that many dumps were taken; the last."""

    def enough() -> bool:
        now = daemon.status()
        if not now["running"] and len(now["dumps"]) < dumps:
            for _ in range(10):
                server.get("/grade")
        return len(now["dumps"]) >= dumps

    wait_until(f"{dumps} dumps", enough, 120)
    last = daemon.dumps()[-1]
    assert last["error"] is None, last
    return last


def test_a_worker_that_grows_is_dumped_once_and_so_is_its_successor(tmp_path: Path) -> None:
    with Gunicorn(tmp_path / "server", Setting("sync", workers=1, app="demo.leaky:application")) as server:
        (first,) = server.workers()
        above = (proc.rss(first) + GROWTH) // 1_000_000
        with Daemon(tmp_path / "agent", RULE.format(above=above)) as daemon:
            assert grow_until(server, daemon, 1)["pid"] == first
            for _ in range(50):
                server.get("/grade")
            os.kill(first, signal.SIGKILL)
            wait_until("the successor to be armed", lambda: armed(server.workers(), first))
            (second,) = server.workers()
            assert grow_until(server, daemon, 2)["pid"] == second
            assert [dump["pid"] for dump in daemon.dumps()] == [first, second]
        for dump in daemon_dumps(daemon):
            assert "Answer" in binaries.run(binaries.HEAPSEE, "summary", dump).check().out
        assert not list(server.dumps.glob("meliae.*")), "the workers' own files were not removed"


def armed(workers: list[int], but: int) -> bool:
    """Whether there is a worker, and it is another one, and it answers the signal."""
    return len(workers) == 1 and workers[0] != but and proc.catches(workers[0], signal.SIGPROF)


def daemon_dumps(daemon: Daemon) -> list[Path]:
    """The dumps in the store."""
    found = sorted(daemon.store.glob("*/*/*/*.dump.zst"))
    assert len(found) == 2
    return found
