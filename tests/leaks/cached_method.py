"""``lru_cache`` on a method: the cache belongs to the class, and its keys hold every instance there ever was."""

from __future__ import annotations

import functools

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.cached_method'].Report.render", holds="Report", count=4000)
REQUESTS = 4000


class Report:
    """A report for one request."""

    def __init__(self, number: int) -> None:
        self.rows = [f"row {number}.{row}" for row in range(10)]

    @functools.lru_cache(maxsize=None)  # noqa: B019, UP033
    def render(self, style: str) -> int:
        """The report as text: its length."""
        return len(style.join(self.rows))


def serve(numbers: range) -> None:
    """Every request makes a report and renders it."""
    for number in numbers:
        Report(number).render(", ")
