"""Arrays of numpy kept in a list, for statistics that nobody asks for."""

from __future__ import annotations

import numpy

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.arrays'].measurements", holds="numpy.ndarray", count=200)
REQUESTS = 200
measurements: list[numpy.ndarray] = []


def serve(numbers: range) -> None:
    """Every request measures something."""
    for number in numbers:
        measurements.append(numpy.arange(number, number + 4000, dtype="float64"))
