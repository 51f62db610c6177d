"""What a report of a leak must say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Culprit:
    """`path` is what the expression must have in it; `holds` the type that accumulates, `count` how many at least."""

    path: str
    holds: str
    count: int
