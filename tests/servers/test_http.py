"""gunicorn, uWSGI and uvicorn, each as it is run in production, dumped at its worst moments."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import dumps, proc
from harness.service import REPOSITORY, Service, variables_of
from harness.waiting import wait_until
from servers import scenes
from servers.moments import MOMENTS

BIN = Path(sys.executable).parent
DEPLOY = REPOSITORY / "deploy"
ENVIRONMENT = variables_of(DEPLOY / "environment" / "heapsee.env")
APP = {"ARM": "import"}

GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "unix:{http}"]
GUNICORN_HOOK = [*GUNICORN, "--config", str(DEPLOY / "gunicorn" / "gunicorn.conf.py")]
UVICORN = [sys.executable, "-m", "uvicorn", "--uds", "{http}"]
# Its supervisor kills a worker that takes longer than 5 s to answer, which one that computes on a busy machine may do.
UVICORN_WORKERS = [*UVICORN, "--workers", "2", "--timeout-worker-healthcheck", "60"]
# uWSGI has Python built in, and is told which environment it belongs to.
UWSGI = [str(BIN / "uwsgi"), "--virtualenv", sys.prefix, "--http-socket", "{http}", "--die-on-term", "--need-app"]
UWSGI += ["--module", "servers.app", "--pythonpath", str(REPOSITORY / "tests")]
UWSGI_HOOK = [*UWSGI, "--ini", str(DEPLOY / "uwsgi" / "uwsgi.ini")]
HYPERCORN = [sys.executable, "-m", "hypercorn", "--bind", "unix:{http}"]
WAITRESS = [sys.executable, "-m", "waitress", "--unix-socket", "{http}"]
GRANIAN = [str(BIN / "granian"), "--uds", "{http}", "--interface", "wsgi"]
UWSGI_END = 30
MASTER = ["--master", "--processes", "2"]


@dataclass(frozen=True)
class Setting:
    """A server, and who arms heapsee in it.

    `shows`: what blocks, blocks the thread (and not a greenlet, whose stack is no thread's). `code`: how the server
    ends when it is told to.
    """

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    shows: bool = True
    code: int = 0


WSGI, ASGI = "servers.app:application", "servers.app:asgi"
SETTINGS = {
    "gunicorn-sync-hook": Setting([*GUNICORN_HOOK, "--workers", "2", WSGI]),
    "gunicorn-sync-environment-preload": Setting([*GUNICORN, "--preload", WSGI], ENVIRONMENT),
    "gunicorn-gthread-environment": Setting([*GUNICORN, "--threads", "4", WSGI], ENVIRONMENT),
    "gunicorn-gevent-hook": Setting([*GUNICORN_HOOK, "--worker-class", "gevent", WSGI], shows=False),
    "gunicorn-uvicorn-hook": Setting([*GUNICORN_HOOK, "--worker-class", "uvicorn_worker.UvicornWorker", ASGI]),
    "uvicorn-app": Setting([*UVICORN, ASGI], APP, code=-signal.SIGTERM),
    "uvicorn-workers-environment": Setting([*UVICORN_WORKERS, ASGI], ENVIRONMENT),
    "hypercorn-workers-environment": Setting([*HYPERCORN, "--workers", "2", ASGI], ENVIRONMENT),
    "waitress-environment": Setting([*WAITRESS, WSGI], ENVIRONMENT, code=-signal.SIGTERM),
    "granian-workers-environment": Setting([*GRANIAN, "--workers", "2", WSGI], ENVIRONMENT),
    "uwsgi-single-app": Setting([*UWSGI, "--enable-threads"], APP, code=UWSGI_END),
    "uwsgi-master-hook": Setting([*UWSGI_HOOK, *MASTER]),
    "uwsgi-lazy-hook": Setting([*UWSGI_HOOK, *MASTER, "--lazy-apps"]),
    "uwsgi-plain-environment": Setting([*UWSGI, *MASTER], ENVIRONMENT),
    "uwsgi-threads-environment": Setting([*UWSGI, *MASTER, "--threads", "4"], ENVIRONMENT),
}


@contextmanager
def served(command: list[str], env: dict[str, str]) -> Iterator[Service]:
    """A server that has nothing to complain of."""
    with Service(command, env) as running:
        yield running
        log = running.log.read_text()
    assert "Traceback" not in log, log


@pytest.fixture(scope="module", params=list(SETTINGS))
def setting(request: pytest.FixtureRequest) -> Setting:
    return SETTINGS[request.param]


@pytest.fixture(scope="module")
def kind(setting: Setting) -> str:
    """The server's name."""
    return next(name for name, known in SETTINGS.items() if known is setting).partition("-")[0]


@pytest.fixture(scope="module")
def server(setting: Setting) -> Iterator[Service]:
    with served(setting.command, setting.env) as running:
        yield running


def status_of(server: Service, pid: int) -> dict[str, Any]:
    """What the worker of that pid says of itself, when it gets its turn to answer."""

    def answered() -> dict[str, Any] | None:
        facts: dict[str, Any] = server.get("/facts")
        return facts if facts["pid"] == pid else None

    facts = wait_until(f"worker {pid} to answer a request", answered)
    assert facts is not None
    status: dict[str, Any] = facts["status"]
    return status


def test_idle(server: Service, kind: str) -> None:
    facts = server.get("/facts")
    assert facts["status"]["armed"], facts
    dump = scenes.dump_of(facts["pid"], server.dumps, lines=True)
    assert dump.meta["snapshot"]["consistency"] == "fork"
    assert dump.meta["process"]["server"] == kind
    assert dump.of_type("module")
    assert server.get("/facts")


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_at_its_worst(server: Service, setting: Setting, moment: str) -> None:
    answers = scenes.Answers(server)
    pid, dump = scenes.dump_during(moment, answers.begin, server)
    answers.check(1)
    if setting.shows or moment == "computing":
        assert moment in scenes.functions(dump)
    assert status_of(server, pid)["armed"]


def test_a_storm_of_signals(server: Service) -> None:
    pid = server.get("/facts")["pid"]
    scenes.storm(pid, server.dumps)
    assert status_of(server, pid)["last_error"] is None
    assert list(server.dumps.glob("meliae*")) == []


def test_told_to_end_while_it_dumps(server: Service, setting: Setting) -> None:
    """The last test of each server. It ends as ever, and what was published by then is whole."""
    pid = server.get("/facts")["pid"]
    # Two signals at once: see there in pyext/docs/worker.md.
    os.kill(pid, signal.SIGPROF)
    assert server.end() == setting.code
    wait_until("the last copy to end", lambda: not copies(server))
    for path in dumps.published(server.dumps):
        dumps.verify(path, lines=False)


def copies(server: Service) -> list[int]:
    """The processes of the server's session that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == server.process.pid and proc.is_running(int(entry.name)):
            found.append(int(entry.name))
    return found
