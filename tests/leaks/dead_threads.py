"""State by thread, kept in a dict by the thread's identity: threads end, their entries stay."""

from __future__ import annotations

import threading

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.dead_threads'].state", holds="Connection", count=300)
REQUESTS = 300


class Connection:
    """A connection with its buffer."""

    def __init__(self, owner: threading.Thread) -> None:
        self.owner = owner
        self.buffer = bytearray(8192)


class State:
    """As `threading.local`, but one can ask for all values."""

    def __init__(self) -> None:
        self.by_thread: dict[threading.Thread, Connection] = {}

    def connection(self) -> Connection:
        """The connection of the thread that asks."""
        thread = threading.current_thread()
        return self.by_thread.setdefault(thread, Connection(thread))


state = State()


def serve(numbers: range) -> None:
    """Every request has its own thread."""
    for _ in numbers:
        thread = threading.Thread(target=state.connection)
        thread.start()
        thread.join()
