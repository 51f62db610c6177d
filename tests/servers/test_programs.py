"""Programs that are no servers, armed by HEAPSEE_INSTALL=1 alone, dumped at their worst moments."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import dumps, proc
from harness.service import REPOSITORY, Service, variables_of
from harness.waiting import wait_until
from servers import scenes
from servers.moments import MOMENTS

ENVIRONMENT = variables_of(REPOSITORY / "deploy" / "environment" / "heapsee.env")
KINDS = ["plain", "daemon", "fork", "spawn", "forkserver", "interpreters"]
# A fork beside subinterpreters hangs in CPython 3.11, with or without us.
FORKING_KINDS = [kind for kind in KINDS if kind != "interpreters"]
# From 3.12 on CPython warns of a fork beside any other thread, ours included, where the main module forks.
FORK_WARNING = re.compile(r".*DeprecationWarning: .* is multi-threaded, use of fork\(\).*\n.*os\.fork\(\).*\n")


class Program(Service):
    """``servers.program``, which connects to us and takes orders."""

    def __init__(self, kind: str) -> None:
        super().__init__([sys.executable, "-m", "servers.program", kind, "{folder}/orders"], ENVIRONMENT)
        self.kind = kind
        self.pid = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / "orders"))
        self._listener.listen()
        self._listener.settimeout(scenes.SECONDS)
        self._orders: socket.socket | None = None

    def _is_ready(self) -> bool:
        """When the process that does the work has connected. Which process that is, a daemon's parent does not say."""
        self._orders, _ = self._listener.accept()
        self.pid = int(self._orders.makefile().readline())
        return True

    def begin(self, moment: str, place: Path) -> None:
        """Has the program live through the moment."""
        assert self._orders is not None
        self._orders.sendall(f"{moment} {place}\n".encode())

    def hang_up(self) -> None:
        """The program has nothing more to do, and ends."""
        assert self._orders is not None
        self._orders.close()
        self._listener.close()


@pytest.fixture(scope="module", params=KINDS)
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    with Program(request.param) as running:
        yield running
        assert FORK_WARNING.sub("", running.log.read_text()) == ""


def test_idle(program: Program) -> None:
    dump = scenes.dump_of(program.pid, program.dumps, lines=True)
    assert "work" in scenes.functions(dump)


@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "forking"])
def test_at_its_worst(program: Program, moment: str) -> None:
    pid, dump = scenes.dump_during(moment, program.begin, program)
    assert pid == program.pid
    assert moment in scenes.functions(dump)


def test_a_storm_of_signals(program: Program) -> None:
    if program.kind != "daemon":
        scenes.storm(program.pid, program.dumps)
        return
    # It has closed its control block with all other descriptors: nobody counts for us there.
    assert proc.control(program.pid) is None
    for _ in range(100):
        os.kill(program.pid, signal.SIGPROF)
    scenes.take(program.pid, program.dumps)


@pytest.mark.parametrize("kind", FORKING_KINDS)
def test_in_the_middle_of_a_fork(kind: str) -> None:
    with Program(kind) as program:
        pid, dump = scenes.dump_during("forking", program.begin, program)
        assert pid == program.pid
        assert "forking" in scenes.functions(dump)
        program.hang_up()
        wait_until("the program to end", lambda: not proc.is_running(pid))


def test_it_ends_while_it_dumps(program: Program) -> None:
    """The last test of each program."""
    os.kill(program.pid, signal.SIGPROF)
    program.hang_up()
    assert program.process.wait(scenes.SECONDS) == 0
    wait_until("the program to end", lambda: not proc.is_running(program.pid))
    for path in dumps.published(program.dumps):
        dumps.verify(path, lines=False)
