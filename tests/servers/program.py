"""Programs that are no servers: ``python -m servers.program KIND PLACE``.

The process that does the work connects to the test at PLACE and lives through the moments it is told. KIND says which
process that is: ``plain`` the program itself, ``daemon`` one that has turned itself into a daemon, ``fork``, ``spawn``
and ``forkserver`` a child made by multiprocessing, ``interpreters`` the program itself beside two subinterpreters.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from servers.moments import live_through


def work(place: str) -> None:
    """Does what it is told, line by line (``MOMENT PLACE``), until the test is over."""
    with socket.socket(socket.AF_UNIX) as test, test.makefile("rw") as orders:
        test.connect(place)
        orders.write(f"{os.getpid()}\n")
        orders.flush()
        for line in orders:
            moment, where = line.split()
            live_through(moment, where)


def become_a_daemon() -> None:
    """As daemons do: a session of its own, no parent, no descriptor of the parent's."""
    for _ in range(2):
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
    os.closerange(0, 1024)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)


@contextmanager
def two_interpreters() -> Iterator[None]:
    """Two interpreters beside the main one, each with something in it. They are closed at the end, as 3.15 asks."""
    new = sys.version_info >= (3, 13)
    module = importlib.import_module("_interpreters" if new else "_xxsubinterpreters")
    numbers = [module.create(), module.create()]
    for number in numbers:
        (module.exec if new else module.run_string)(number, "import json, re; kept = [{'a': re.compile('b')}]")
    yield
    for number in numbers:
        module.destroy(number)


def main(kind: str, place: str) -> None:
    """Runs as that kind of program."""
    if kind in ("fork", "spawn", "forkserver"):
        multiprocessing.set_start_method(kind)
        process = multiprocessing.Process(target=work, args=(place,))
        process.start()
        process.join()
        sys.exit(process.exitcode)
    if kind == "daemon":
        become_a_daemon()
    with two_interpreters() if kind == "interpreters" else nullcontext():
        work(place)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
