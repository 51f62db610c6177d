"""A real gunicorn under load is dumped again and again, and nobody notices."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import binaries, dumps, proc
from harness.gunicorn import Gunicorn, Setting
from harness.load import Load
from harness.waiting import wait_until

DUMPS_PER_SETTING = 16
"""Four settings: 64 dumps with each CPython with which all is run, 32 with each of the others, 350 in all."""

SETTINGS = {
    "sync": Setting("sync", preload=False, arm="post_fork"),
    "sync-preload": Setting("sync", preload=True, arm="import"),
    "gthread": Setting("gthread", preload=False, arm="import"),
    "gthread-preload": Setting("gthread", preload=True, arm="post_fork"),
}
EVERYWHERE = ("sync-preload", "gthread-preload")
"""Each kind of worker and each way of arming, once."""


@pytest.fixture(
    params=[
        pytest.param(setting, id=name, marks=[] if name in EVERYWHERE else [pytest.mark.outermost])
        for name, setting in SETTINGS.items()
    ]
)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gunicorn]:
    with Gunicorn(tmp_path, request.param) as running:
        yield running


def fill_thread_pools(server: Gunicorn) -> None:
    """Has every worker make all of its threads, so that one more afterwards is one too many."""
    wanted = server.setting.threads if server.setting.worker_class == "gthread" else 0
    workers = server.workers()
    # A thread has its name a moment after it was started.
    wait_until("each watcher to have its name", lambda: all(map(proc.is_at_rest, workers)))

    def ask_slowly() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/wait", headers={"Connection": "close"})
        connection.getresponse().read()
        connection.close()

    def all_there() -> bool:
        theirs = [[name for name in proc.threads(pid).values() if name not in proc.OUR_THREADS] for pid in workers]
        if all(len(names) > wanted for names in theirs):
            return True
        askers = [threading.Thread(target=ask_slowly) for _ in range(4 * server.setting.threads)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        return False

    wait_until("the thread pools to fill", all_there)


def dump_by_signal(server: Gunicorn, pid: int, store: Path) -> Path:
    """What an operator without the agent does: kill -PROF, and take the file once it has its name."""
    os.kill(pid, signal.SIGPROF)
    dump = wait_until("a dump to be published", lambda: dumps.published(server.dumps))[0]
    for path in (dumps.sidecar_of(dump), dump):
        shutil.move(path, store / path.name)
    return store / dump.name


def check_dump(dump: Path, pid: int, thoroughly: bool) -> None:
    """The file is whole, and is this worker's."""
    read = dumps.verify(dump, lines=thoroughly)
    match = dumps.NAME.fullmatch(dump.name)
    assert match, f"not the name of a dump: {dump.name}"
    assert int(match["pid"]) == pid
    assert read.meta["process"]["pid"] == pid
    assert read.meta["counts"]["dangling_refs"] == 0
    if thoroughly:
        known = binaries.summary(dump)["totals"]
        assert known["objects"] == read.meta["counts"]["objects"]
        assert known["refs"] == read.meta["counts"]["refs"]
        assert len(read.of_type("XMLModuleStore")) == 2


def footprints(server: Gunicorn) -> dict[int, proc.Footprint]:
    return {pid: proc.Footprint.of(pid) for pid in [server.master, *server.workers()]}


def added(server: Gunicorn, before: dict[int, proc.Footprint]) -> dict[int, object]:
    """Each process that has something more than before, or is another: what it had and what it has."""
    now = footprints(server)
    is_same = {pid: pid in now and pid in before and now[pid].is_within(before[pid]) for pid in [*now, *before]}
    return {pid: (before.get(pid), now.get(pid)) for pid, same in is_same.items() if not same}


def test_dumps_under_load_disturb_nobody(server: Gunicorn, tmp_path: Path) -> None:
    workers = server.workers()
    fill_thread_pools(server)
    before = footprints(server)
    store = tmp_path / "store"
    store.mkdir()
    with Load(server.port, rate=30) as load:
        for number in range(DUMPS_PER_SETTING):
            pid = workers[number % len(workers)]
            if number % 5 == 4:
                dump = dump_by_signal(server, pid, store)
            else:
                dump = binaries.agent_dump(pid, store, "--no-compress")
            check_dump(dump, pid, thoroughly=number % 8 == 0)
            dump.unlink()
    report = load.report

    assert report.failures == []
    assert report.served > DUMPS_PER_SETTING
    assert report.workers == set(workers), "not every worker has served"
    assert server.workers() == workers, "a worker was restarted"
    assert proc.zombies(server.master) == []
    with contextlib.suppress(TimeoutError):
        wait_until("each process to have what it had before, no more", lambda: not added(server, before))
    assert not added(server, before)
    assert list(server.dumps.iterdir()) == [], "something was left in the dump directory"
    log = server.log.read_text()
    assert log.count("Booting worker") == len(workers), log
    assert "Traceback" not in log, log


def test_the_agent_sees_the_workers(server: Gunicorn) -> None:
    found = {worker["pid"]: worker for worker in binaries.agent_list()}
    for pid in server.workers():
        assert found[pid]["armed"] is True, found[pid]
        assert found[pid]["master_pid"] == server.master
        assert found[pid]["server"] == "gunicorn"
        assert found[pid]["directory"] == str(server.dumps)


def test_a_compressed_dump_reads_the_same(server: Gunicorn, tmp_path: Path) -> None:
    stored = binaries.agent_dump(server.workers()[0], tmp_path / "store")
    assert stored.name.endswith(".dump.zst")
    known = binaries.summary(stored)["totals"]
    sidecar = next(stored.parent.glob(f"*{dumps.SIDECAR_SUFFIX}"))
    counts = json.loads(sidecar.read_text())["counts"]
    assert (known["objects"], known["refs"], known["bytes"]) == (counts["objects"], counts["refs"], counts["bytes"])
