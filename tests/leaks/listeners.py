"""An event bus whose listeners are added for each request and never removed: bound methods hold their objects."""

from __future__ import annotations

from collections.abc import Callable

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.listeners'].bus", holds="method", count=4000)
REQUESTS = 4000


class Bus:
    """Tells listeners of what happens."""

    def __init__(self) -> None:
        self.listeners: dict[str, list[Callable[[str], None]]] = {}

    def subscribe(self, topic: str, listener: Callable[[str], None]) -> None:
        """From now on the listener is told of the topic."""
        self.listeners.setdefault(topic, []).append(listener)


class View:
    """A page that wants to know of changes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.changes: list[str] = [f"opened {number}"]
        bus.subscribe("changed", self.on_change)

    def on_change(self, what: str) -> None:
        """Notes a change."""
        self.changes.append(what)


bus = Bus()


def serve(numbers: range) -> None:
    """Every request opens a page."""
    for number in numbers:
        View(number)
