"""Tasks in a set, as the documentation of asyncio advises, but never discarded when they are done."""

from __future__ import annotations

import asyncio
from typing import Any

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.task_set'].background", holds="_asyncio.Task", count=4000)
REQUESTS = 4000
background: set[asyncio.Task[Any]] = set()


async def notify(number: int) -> dict[str, Any]:
    """Tells somebody of something."""
    await asyncio.sleep(0)
    return {"number": number, "text": f"order {number} is on its way", "to": [f"customer {number}"]}


async def main(numbers: range) -> None:
    """Every request starts a task."""
    started = set()
    for number in numbers:
        task = asyncio.ensure_future(notify(number))
        background.add(task)
        started.add(task)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*started)


def serve(numbers: range) -> None:
    """Runs the loop to the end of all tasks."""
    asyncio.run(main(numbers))
