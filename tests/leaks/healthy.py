"""Processes in which nothing leaks: ``python -m leaks.healthy NAME FILE``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import heapsee


def plain() -> None:
    """Much of the standard library, imported."""
    import asyncio  # noqa: F401
    import email.mime.multipart  # noqa: F401
    import http.server  # noqa: F401
    import linecache
    import logging
    import sqlite3  # noqa: F401
    import unittest.mock  # noqa: F401
    import xml.dom.minidom  # noqa: F401

    logging.basicConfig()
    for module in list(sys.modules.values()):
        # What any process has that has formatted tracebacks.
        path = getattr(module, "__file__", None) or ""
        if path.endswith(".py"):
            linecache.getlines(path)


def pandas() -> None:
    """A table and some figures of it."""
    import pandas

    table = pandas.DataFrame({"number": range(1000), "letter": list("abcdefghij") * 100})
    table.groupby("letter").number.sum()
    table.describe()


PROCESSES: dict[str, Callable[[], None]] = {"plain": plain, "pandas": pandas}


if __name__ == "__main__":
    PROCESSES[sys.argv[1]]()
    heapsee.dump_all_objects(sys.argv[2])
