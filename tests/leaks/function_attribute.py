"""Calls noted at the function that was called, as static variables are in other languages."""

from __future__ import annotations

from typing import Any

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.function_attribute'].view.calls", holds="dict", count=6000)
REQUESTS = 6000


def view(number: int) -> None:
    """A page."""
    calls: list[dict[str, Any]] = view.__dict__.setdefault("calls", [])
    calls.append({"number": f"call {number}", "arguments": [number]})


def serve(numbers: range) -> None:
    """Every request looks at the page."""
    for number in numbers:
        view(number)
