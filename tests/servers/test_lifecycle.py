"""A gunicorn worker with a dump in flight is retired, reloaded, told to end, or its master is replaced.

The server goes on as ever, and the dump of the worker that was is whole.
"""

from __future__ import annotations

import http.client
import os
import signal
from pathlib import Path

import pytest

from harness import dumps, proc
from harness.service import Service
from harness.waiting import wait_until
from servers import scenes
from servers.test_http import ENVIRONMENT, GUNICORN, GUNICORN_HOOK, WSGI, copies, served

# Enough for a copy to be met at its work.
LARGE = {"GROW": "100000"}
TRIES = 20
MAX_REQUESTS = 20


def worker_of(server: Service, other_than: int = 0) -> int:
    """The pid of an armed worker that answers, and is not that one.

    A gthread worker that retires may reset connections that it has accepted, with and without heapsee.
    """

    def answered() -> int:
        try:
            facts = server.get("/facts")
        except (OSError, http.client.HTTPException):
            return 0
        return int(facts["pid"]) if facts["pid"] != other_than and facts["status"]["armed"] else 0

    return wait_until(f"a worker other than {other_than} to answer", answered)


class Held:
    """A dump in flight: its copy has been stopped before its file had a name."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder
        for _ in range(TRIES):
            self._copy = self._stopped()
            if self._copy:
                return
            scenes.take(pid, folder)
        raise AssertionError(f"{TRIES} copies were done before they could be stopped")

    def _stopped(self) -> int:
        """The copy's pid; 0 when it was too quick."""
        wait_until("the last dump to be over", lambda: proc.is_at_rest(self._pid))
        os.kill(self._pid, signal.SIGPROF)
        copy = wait_until("a copy to be made", lambda: dumps.published(self._folder) or proc.children(self._pid))[0]
        if isinstance(copy, Path):
            return 0
        try:
            os.kill(copy, signal.SIGSTOP)
            wait_until("the copy to stop", lambda: proc.status(copy)["State"][0] in "TZ")
        except OSError:
            return 0
        if any(self._folder.iterdir()):
            os.kill(copy, signal.SIGCONT)
            return 0
        return copy

    def finish(self) -> None:
        """Lets the copy go on; its dump must be whole."""
        assert proc.status(self._copy)["State"].startswith("T")
        os.kill(self._copy, signal.SIGCONT)
        path = wait_until("the dump of the worker that was", lambda: dumps.published(self._folder))[0]
        read = dumps.verify(path, lines=False)
        assert read.meta["process"]["pid"] == self._pid
        assert read.meta["counts"]["dangling_refs"] == 0
        wait_until("the copy to end", lambda: not proc.is_running(self._copy))
        dumps.sidecar_of(path).unlink()
        path.unlink()


def has_ended(pid: int) -> None:
    """Waits for a process to be gone."""
    wait_until(f"process {pid} to end", lambda: not proc.is_running(pid))


@pytest.mark.parametrize(("why", "worker_class"), [("retired", "sync"), ("retired", "gthread"), ("reloaded", "sync")])
def test_a_worker_is_replaced(why: str, worker_class: str) -> None:
    command = [*GUNICORN_HOOK, "--worker-class", worker_class]
    if why == "retired":
        command += ["--max-requests", str(MAX_REQUESTS)]
    with served([*command, WSGI], LARGE) as server:
        pid = worker_of(server)
        held = Held(pid, server.dumps)
        if why == "reloaded":
            server.process.send_signal(signal.SIGHUP)
        successor = worker_of(server, other_than=pid)
        has_ended(pid)
        scenes.dump_of(successor, server.dumps)
        held.finish()
        assert server.end() == 0
        assert copies(server) == []


def test_told_to_end_with_a_request_and_a_dump_in_flight() -> None:
    with served([*GUNICORN_HOOK, WSGI], LARGE) as server, scenes.meeting(server.folder) as (met, place):
        answers = scenes.Answers(server)
        answers.begin("reading_a_socket", place)
        pid = met.begun()
        held = Held(pid, server.dumps)
        server.process.send_signal(signal.SIGTERM)
        met.end()
        answers.check(1)
        assert server.process.wait(scenes.SECONDS) == 0
        assert not proc.is_running(pid)
        held.finish()
        assert copies(server) == []


def test_the_master_is_replaced() -> None:
    """USR2: the new master is started by `exec`, which heapsee's handler does not survive; it comes in anew."""
    with served([*GUNICORN, WSGI], {**ENVIRONMENT, **LARGE}) as server:
        old = worker_of(server)
        held = Held(old, server.dumps)
        server.process.send_signal(signal.SIGUSR2)
        new = worker_of(server, other_than=old)
        assert server.end() == 0
        has_ended(old)
        master = int(proc.status(new)["PPid"])
        assert master != server.process.pid
        for pid in (new, master):
            scenes.dump_of(pid, server.dumps)
        held.finish()
        os.kill(master, signal.SIGTERM)
        has_ended(master)
        assert copies(server) == []
