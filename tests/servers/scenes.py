"""What is tried with each server: its worst moments, a storm of signals, and what must be true of each dump."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable
from urllib.parse import quote

from harness import dumps, proc
from harness.dumps import Dump
from harness.service import Service
from harness.waiting import wait_until

SECONDS = 60.0

Begin = Callable[[str, Path], None]
"""Has the server live through a moment (see `servers.moments`), in whatever way it is asked for things."""


class Meeting:
    """The test's end of a moment."""

    def __init__(self, place: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(SECONDS)
        self._listener.bind(str(place))
        self._listener.listen()
        self._place = place
        self._peer: socket.socket | None = None

    def begun(self) -> int:
        """Waits until the moment has come; the pid of who lives through it."""
        self._peer, _ = self._listener.accept()
        self._peer.settimeout(SECONDS)
        return int(self._line())

    def end(self) -> None:
        """Ends the moment; fails unless who lived through it says that all is well."""
        assert self._peer is not None
        self._peer.sendall(b".")
        assert self._line() == b"well\n"

    def _line(self) -> bytes:
        assert self._peer is not None
        line = b""
        while not line.endswith(b"\n"):
            more = self._peer.recv(1)
            assert more, "the worker has hung up in the middle of its moment"
            line += more
        return line

    def close(self) -> None:
        """Leaves nothing."""
        if self._peer is not None:
            self._peer.close()
        self._listener.close()
        self._place.unlink()


@contextmanager
def meeting(folder: Path) -> Iterator[tuple[Meeting, Path]]:
    """A meeting and its place."""
    place = folder / "meeting"
    held = Meeting(place)
    try:
        yield held, place
    finally:
        held.close()


def dump_of(pid: int, folder: Path, *, lines: bool = False) -> Dump:
    """Signals a process and takes its dump, which must be whole, away from the folder."""
    wait_until("the last dump to be over", lambda: not proc.is_dumping(pid), SECONDS)
    os.kill(pid, signal.SIGPROF)
    return take(pid, folder, lines=lines)


def take(pid: int, folder: Path, *, lines: bool = False) -> Dump:
    """Waits for a dump of this process, verifies it, each of its `lines` if that is wanted, and removes it."""

    def published() -> Path | None:
        assert proc.is_running(pid), f"process {pid} has ended"
        return next((path for path in dumps.published(folder) if path.name.endswith(f".{pid}.dump")), None)

    path = wait_until(f"process {pid} to publish a dump", published, SECONDS)
    assert path is not None
    read = dumps.verify(path, lines=lines)
    assert read.meta["process"]["pid"] == pid
    assert read.meta["counts"]["dangling_refs"] == 0
    dumps.sidecar_of(path).unlink()
    path.unlink()
    return read


def functions(dump: Dump) -> set[str]:
    """The names of all functions that run in any thread."""
    return {frame["function"] for thread in dump.meta["threads"] for frame in thread["frames"]}


def dump_during(moment: str, begin: Begin, service: Service) -> tuple[int, Dump]:
    """A dump of whoever lives through this moment, taken during it. The moment must end well."""
    with meeting(service.folder) as (held, place):
        begin(moment, place)
        pid = held.begun()
        dump = dump_of(pid, service.dumps)
        held.end()
    return pid, dump


class Answers:
    """Requests under way."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._threads: list[threading.Thread] = []
        self.failures: list[str] = []
        self.served = 0

    def begin(self, moment: str, place: Path) -> None:
        """Sends a request that lives through the moment."""
        thread = threading.Thread(target=self._ask, args=(f"/moment/{moment}?{quote(str(place))}",), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _ask(self, path: str) -> None:
        try:
            self._service.get(path)
            self.served += 1
        except Exception as error:
            self.failures.append(f"{path}: {type(error).__name__}: {error}")

    def check(self, expected: int) -> None:
        """Fails unless each request was answered."""
        for thread in self._threads:
            thread.join(SECONDS)
        assert self.failures == []
        assert self.served == expected


def storm(pid: int, folder: Path) -> None:
    """Many signals at once: some are merged into the dump under way, none is lost, each dump is whole."""
    before = counts(pid)
    for _ in range(100):
        os.kill(pid, signal.SIGPROF)

    def over() -> proc.Control | None:
        now = counts(pid)
        made = now.started - before.started
        idle = now.started == now.finished and made > 0
        return now if idle and now.signals - before.signals == now.merged - before.merged + made else None

    after = wait_until("the storm to be over", over, SECONDS)
    assert after is not None
    assert after.armed
    assert after.published
    for _ in range(after.started - before.started):
        take(pid, folder)


def counts(pid: int) -> proc.Control:
    """What the control block says that the process must have."""
    block = proc.control(pid)
    assert block is not None, f"process {pid} has no control block"
    return block
