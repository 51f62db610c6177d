"""Exceptions kept to be reported later: each has its traceback, whose frames have all their locals."""

from __future__ import annotations

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.exceptions'].failures", holds="ValueError", count=1000)
REQUESTS = 1000
failures: list[Exception] = []


def parse(text: str) -> int:
    """What goes wrong."""
    fields = text.split(",")
    return int(fields[0])


def handle(number: int) -> None:
    """One request, with its body in a local variable."""
    body = f"not a number {number}," + ",".join(str(field) for field in range(100))
    parse(body)


def serve(numbers: range) -> None:
    """Every request fails."""
    for number in numbers:
        try:
            handle(number)
        except ValueError as error:
            failures.append(error)
