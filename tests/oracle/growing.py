"""A process that wastes, grows, forks and serves by known amounts, and dumps itself on the way.

``python -m oracle.growing FOLDER`` writes ``1.dump`` to ``3.dump``, ``worker.dump`` of a forked child and
``waste.dump``, and prints as JSON what ``sys.getsizeof`` says of what is wasted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import types
from pathlib import Path
from typing import Any

import heapsee

SESSIONS, REQUESTS, LINKS, BURST = 400, 300, 200, 3000


class Session:
    """What is put in the cache."""

    def __init__(self, number: int) -> None:
        self.user = f"user {number}"
        self.scores = [number + 0.5] * 3


class Link:
    """One link of a chain."""

    __slots__ = ("before",)

    def __init__(self, before: Link | None) -> None:
        self.before = before


class Record:
    """Its attributes are in a dict, as ``vars`` has been called."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.attributes = vars(self)


def shop() -> Any:
    """A module of an application."""
    module: Any = types.ModuleType("shop")
    sys.modules["shop"] = module
    module.cache, module.log, module.last = {}, [], None
    return module


def serve(module: Any, step: int) -> None:
    """Grows the cache, the log and the chain; makes and drops a burst in the second step only."""
    for number in range(step * SESSIONS, (step + 1) * SESSIONS):
        module.cache[f"key{number}"] = Session(number)
    module.log.extend(("GET", f"/item/{step}/{number}") for number in range(REQUESTS))
    for _ in range(LINKS):
        module.last = Link(module.last)
    module.burst = [object() for _ in range(BURST if step == 1 else 0)]


def waste(module: Any) -> dict[str, int]:
    """Makes waste whose size CPython itself tells."""
    module.emptied = dict.fromkeys(range(5000))
    for number in range(4990):
        del module.emptied[number]
    module.thinned = set(range(5000))
    module.thinned.difference_update(range(4990))
    module.empty = [[] for _ in range(1000)]
    module.same = ["".join(["the same ", "text"]) for _ in range(500)]
    module.numbers = [number * 1.5 for number in range(4000)]
    return {
        "dict": sys.getsizeof(module.emptied) - sys.getsizeof(dict.fromkeys(module.emptied)),
        "set": sys.getsizeof(module.thinned) - sys.getsizeof(set(module.thinned)),
        "empty": sum(map(sys.getsizeof, module.empty)),
        "same": sum(map(sys.getsizeof, module.same[1:])),
        "numbers": sum(map(sys.getsizeof, module.numbers)),
    }


def application(environ: dict[str, str], ready: threading.Event, done: threading.Event) -> list[str]:
    """Works on a request, and is in the middle of it."""
    body = [f"{environ['PATH_INFO']}: line {number}" for number in range(2000)]
    ready.set()
    done.wait()
    return body


async def handler(scope: dict[str, str]) -> None:
    """An ASGI application's wait, with something to hold."""
    body = [f"{scope['path']}: line {number}" for number in range(1000)]
    await asyncio.sleep(3600)
    body.clear()


async def dump_while_serving(path: Path) -> None:
    """Dumps with two tasks under way."""
    scopes = [{"type": "http", "method": "POST", "path": f"/api/{number}"} for number in range(2)]
    tasks = [asyncio.ensure_future(handler(scope)) for scope in scopes]
    await asyncio.sleep(0)
    heapsee.dump_all_objects(str(path))
    for task in tasks:
        task.cancel()


def main() -> None:
    """Everything, in the order of the names."""
    folder = Path(sys.argv[1])
    module = shop()
    for step in range(3):
        serve(module, step)
        heapsee.dump_all_objects(str(folder / f"{step + 1}.dump"))
    pid = os.fork()
    if pid == 0:
        serve(module, 3)
        heapsee.dump_all_objects(str(folder / "worker.dump"))
        os._exit(0)
    os.waitpid(pid, 0)
    sizes = waste(module)
    ready, done = threading.Event(), threading.Event()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/report", "QUERY_STRING": "id=7"}
    thread = threading.Thread(target=application, args=(environ, ready, done))
    thread.start()
    ready.wait()
    asyncio.run(dump_while_serving(folder / "waste.dump"))
    done.set()
    thread.join()
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
