"""Visits that several registries hold, each in its own way: taking them out of one of them frees little."""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass

HELD = {
    "Visit": ("by_number", "latest"),
    "Order": ("by_user", "by_day"),
    "Page": ("load", "loaded"),
    "Mail": ("sent", "unsent", "log"),
}
"""What piles up, by the registries that have it."""

REQUESTS = 20_000


class Visit:
    """What is noted of a request."""

    def __init__(self, number: int) -> None:
        self.text = f"visit {number} " * 12


class Order(Visit):
    """One of few of a user, and of few of a day."""


class Page(Visit):
    """What a library's cache has, too."""


class Mail(Visit):
    """What three have."""


@dataclass
class Entry:
    """What a registry has besides."""

    visit: Visit
    expires: float


by_number: dict[int, Entry] = {}
latest: list[tuple[float, Visit]] = []
by_user: dict[str, list[Order]] = {}
by_day: dict[str, list[Order]] = {}
loaded: list[tuple[int, Page]] = []
sent: dict[int, Entry] = {}
unsent: list[tuple[int, Mail]] = []
log: deque[list[Mail]] = deque()


@functools.lru_cache(maxsize=10 * REQUESTS)
def load(number: int) -> Page:
    return Page(number)


def serve(numbers: range) -> None:
    """Every request is noted again and again."""
    for number in numbers:
        visit, order, mail = Visit(number), Order(number), Mail(number)
        by_number[number] = Entry(visit, float(number))
        latest.append((float(number), visit))
        by_user.setdefault(f"user {number % 2000}", []).append(order)
        by_day.setdefault(f"day {number // 20}", []).append(order)
        loaded.append((number, load(number)))
        sent[number] = Entry(mail, float(number))
        unsent.append((number, mail))
        log.append([mail])
