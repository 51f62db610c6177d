"""Circles that nobody refers to any more, and a collector that was turned off to save time."""

from __future__ import annotations

import gc

REQUESTS = 5000


class Request:
    """Knows its response, which knows its request."""

    def __init__(self, number: int) -> None:
        self.body = f"body of request {number}: " + 20 * "text "
        self.context = {"request": self, "number": number}


def serve(numbers: range) -> None:
    """Every request is a circle."""
    gc.disable()
    for number in numbers:
        Request(number)
