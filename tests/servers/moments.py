"""The worst moments for a dump, as seen from within a worker. Each lasts until the test has had enough.

`live_through` connects to the test's socket, and tells the test its pid when the moment has come; it is over when the
test sends a byte; the worker then answers that it is well. The functions' names show in the dump's stacks: that proves
that the dump was taken at that very moment. Knows nothing of servers.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Callable

ASLEEP_SECONDS = 1.0


def tell(test: socket.socket) -> None:
    """The moment has come."""
    test.sendall(b"%d\n" % os.getpid())


def computing(test: socket.socket) -> None:
    """Busy in Python, and nothing else."""
    tell(test)
    test.setblocking(False)
    while True:
        for _ in range(20_000):
            pass
        try:
            test.recv(1)
        except BlockingIOError:
            continue
        break
    test.setblocking(True)


def asleep(test: socket.socket) -> None:
    """Blocked in C for a time of its own."""
    tell(test)
    time.sleep(ASLEEP_SECONDS)
    test.recv(1)


def reading_a_socket(test: socket.socket) -> None:
    """Blocked in a system call that only the other end can end."""
    tell(test)
    test.recv(1)


def waiting_for_a_lock(test: socket.socket) -> None:
    """Blocked in C on a lock that another thread holds."""
    lock = threading.Lock()
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            test.recv(1)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    tell(test)
    with lock:
        pass
    holder.join()


def importing(test: socket.socket) -> None:
    """In the middle of an import, with the module's import lock held."""
    Meeting.test = test
    sys.modules.pop("servers.slow_import", None)
    importlib.import_module("servers.slow_import")


def forking(test: socket.socket) -> None:
    """In the middle of `os.fork`: what the application has Python do before a fork takes its time."""
    if not Meeting.hooked:
        os.register_at_fork(before=just_before_a_fork)
        Meeting.hooked = True
    Meeting.fork_waits_for = test
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("the child did not end well")


def just_before_a_fork() -> None:
    """Called by Python before each fork."""
    test, Meeting.fork_waits_for = Meeting.fork_waits_for, None
    if test is not None:
        tell(test)
        test.recv(1)


class Meeting:
    """What a module being imported, and a hook, must find."""

    test: socket.socket | None = None
    fork_waits_for: socket.socket | None = None
    hooked = False


MOMENTS: dict[str, Callable[[socket.socket], None]] = {
    moment.__name__: moment for moment in (computing, asleep, reading_a_socket, waiting_for_a_lock, importing, forking)
}


def live_through(moment: str, place: str | Path) -> None:
    """Has this process be in that state until the test, which listens at `place`, ends it."""
    with socket.socket(socket.AF_UNIX) as test:
        test.connect(str(place))
        MOMENTS[moment](test)
        test.sendall(b"well\n")
