"""A thread for each request that waits for news which never come, and keeps what it has read meanwhile."""

from __future__ import annotations

import threading

REQUESTS = 64
news = threading.Event()
begun = threading.Semaphore(0)


def watch(number: int) -> list[str]:
    """Waits."""
    read = [f"line {line} of request {number}" for line in range(300)]
    begun.release()
    news.wait()
    return read


def serve(numbers: range) -> None:
    """Every request starts a thread."""
    for number in numbers:
        threading.Thread(target=watch, args=(number,), daemon=True).start()
    for _ in numbers:
        begun.acquire()
