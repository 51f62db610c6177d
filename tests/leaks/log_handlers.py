"""A logging handler for every request, to have its lines apart, and never removed."""

from __future__ import annotations

import io
import logging

from leaks.culprit import Culprit

CULPRIT = Culprit(path=".handlers", holds="StreamHandler", count=2000)
REQUESTS = 2000


def serve(numbers: range) -> None:
    """Every request logs to its own buffer."""
    logger = logging.getLogger("shop.requests")
    logger.setLevel(logging.CRITICAL)
    for number in numbers:
        handler = logging.StreamHandler(io.StringIO(f"log of request {number}\n" + 20 * "line\n"))
        handler.setFormatter(logging.Formatter(f"%(asctime)s request-{number} %(message)s"))
        logger.addHandler(handler)
        logger.info("request %d", number)
