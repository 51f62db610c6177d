"""A celery worker and its pool of processes, which reset what they take for free signals after every hook."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from celery import Celery as CeleryApp

from harness import binaries, dumps, proc
from harness.service import REPOSITORY, Service, variables_of
from harness.waiting import wait_until
from servers import scenes
from servers.moments import MOMENTS


def celery_of(module: str) -> list[str]:
    """The beginning of every command: celery with this application."""
    return [sys.executable, "-m", "celery", "--app", module]


CELERY = celery_of("servers.tasks")
WORKER = ["worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"]
ENVIRONMENT = variables_of(REPOSITORY / "deploy" / "environment" / "heapsee.env")


@dataclass(frozen=True)
class Setting:
    """How celery runs, and who arms heapsee in it. `pool`: its tasks run in processes of their own."""

    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    pool: bool = True


SETTINGS = {
    "prefork-hook": Setting([*CELERY, *WORKER, "--include", "heapsee.celery"]),
    "prefork-environment": Setting([*CELERY, *WORKER], ENVIRONMENT),
    "threads-hook": Setting([*CELERY, *WORKER, "--pool", "threads", "--include", "heapsee.celery"], pool=False),
}


@pytest.fixture(scope="module", params=list(SETTINGS))
def setting(request: pytest.FixtureRequest) -> Setting:
    return SETTINGS[request.param]


class Celery(Service):
    """A celery worker whose broker is a folder. Nobody can be asked over HTTP."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        super().__init__(setting.command, {"BROKER": "{folder}", **setting.env})

    def ready(self) -> bool:
        """Whether every process of the pool is there and armed."""
        wanted = [self.process.pid, *self.pool()]
        complete = len(wanted) == (3 if self.setting.pool else 1)
        return complete and all(proc.catches(pid, signal.SIGPROF) for pid in wanted)

    def pool(self) -> list[int]:
        """The pids of the pool's processes."""
        return proc.children(self.process.pid)

    def send(self, task: str, *arguments: object) -> None:
        """Has a process of the pool carry out a task."""
        with CeleryApp(broker="filesystem://") as app:
            folders = ("data_folder_in", "data_folder_out", "control_folder")
            app.conf.broker_transport_options = dict.fromkeys(folders, str(self.folder))
            app.send_task(task, args=arguments, ignore_result=True)

    def begin(self, moment: str, place: Path) -> None:
        """Has a task live through the moment."""
        self.send("servers.moment", moment, str(place))


@pytest.fixture(scope="module")
def celery(setting: Setting) -> Iterator[Celery]:
    with Celery(setting) as running:
        yield running
        log = running.log.read_text()
    assert "Traceback" not in log, log


def test_every_process_answers_while_idle(celery: Celery) -> None:
    for pid in [celery.process.pid, *celery.pool()]:
        dump = scenes.dump_of(pid, celery.dumps, lines=pid == celery.process.pid)
        assert dump.meta["process"]["server"] == "celery"


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_at_its_worst(celery: Celery, setting: Setting, moment: str) -> None:
    before = celery.pool()
    pid, dump = scenes.dump_during(moment, celery.begin, celery)
    assert moment in scenes.functions(dump)
    assert (pid in celery.pool()) == setting.pool
    assert celery.pool() == before, "a process of the pool has been replaced"


def test_a_storm_of_signals(celery: Celery) -> None:
    scenes.storm((celery.pool() or [celery.process.pid])[0], celery.dumps)


def test_the_agent_sees_that_they_are_armed(celery: Celery) -> None:
    known = {worker["pid"]: worker for worker in binaries.agent_list()}
    for pid in [celery.process.pid, *celery.pool()]:
        assert known[pid]["armed"] is True, known[pid]
        assert known[pid]["server"] == "celery"


def test_told_to_end_while_it_dumps(celery: Celery) -> None:
    """The last test of each worker."""
    workers = celery.pool() or [celery.process.pid]
    os.kill(workers[0], signal.SIGPROF)
    assert celery.end() == 0
    wait_until("the processes to end", lambda: not any(proc.is_running(pid) for pid in workers))
    for path in dumps.published(celery.dumps):
        dumps.verify(path, lines=False)
