"""Waiting for a condition with a deadline: the only way tests wait."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

Answer = TypeVar("Answer")


def wait_until(what: str, condition: Callable[[], Answer], deadline: float = 60.0) -> Answer:
    """Asks until the answer is true, and returns it; raises `TimeoutError` naming `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline:.0f} s in vain for {what}")
        time.sleep(0.005)
