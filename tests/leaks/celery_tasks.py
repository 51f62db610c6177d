"""Tasks of celery that keep three things too many: results, what a task has rendered, and handlers of a signal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Task
from celery.signals import worker_process_shutdown

from servers.tasks import app

results: list[Any] = []


class Report(Task):
    """Its one instance serves every call, and keeps what it has made for all of them."""

    name = "leaks.report"

    def __init__(self) -> None:
        self.rendered: dict[str, list[str]] = {}

    def run(self, number: int) -> None:
        """Renders a report."""
        self.rendered[f"report {number}"] = [f"line {line} of report {number}" for line in range(10)]


def price(number: int) -> dict[str, Any]:
    """What an order costs."""
    return {"order": number, "lines": [f"item {item} of order {number}" for item in range(5)]}


def orders(count: int, place: str) -> None:
    """Takes orders, then says who has."""
    for number in range(count):
        results.append(price_task.apply(args=[number]))
        report.apply(args=[number])
        flush_at_the_end(number)
    Path(place).write_text(str(os.getpid()))


def flush_at_the_end(number: int) -> None:
    """What an order has left to do is done when the process ends."""
    rest = [f"mail {mail} of order {number}" for mail in range(5)]

    def flush(**_: object) -> None:
        rest.clear()

    worker_process_shutdown.connect(flush, weak=False)


price_task = app.task(name="leaks.price")(price)
orders_task = app.task(name="leaks.orders", ignore_result=True)(orders)
report = app.register_task(Report())
