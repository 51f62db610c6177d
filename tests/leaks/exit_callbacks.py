"""Something to be cleaned up when the process ends, registered at every request: C code holds what is to be called."""

from __future__ import annotations

import atexit

REQUESTS = 6000


def remove(files: list[str]) -> None:
    """Removes the temporary files of a request."""
    files.clear()


def serve(numbers: range) -> None:
    """Every request has temporary files."""
    for number in numbers:
        atexit.register(remove, [f"upload-{number}.part", f"upload-{number}.thumbnail"])
