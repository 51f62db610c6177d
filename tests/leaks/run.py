"""Runs one leaking application for a while and dumps it: ``python -m leaks.run NAME FILE [TIMES]``."""

from __future__ import annotations

import importlib
import sys

import heapsee


def main() -> None:
    """Imports the application, serves requests, writes the dump."""
    name, file, *times = sys.argv[1:]
    application = importlib.import_module(f"leaks.{name}")
    application.serve(range(int(times[0]) if times else application.REQUESTS))
    heapsee.dump_all_objects(file)


if __name__ == "__main__":
    main()
