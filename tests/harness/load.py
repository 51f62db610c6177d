"""A bounded HTTP load on a server of ours on the loopback interface; remembers every latency and every failure."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field

LONGEST_RUN = 900.0
"""Seconds after which a load ends by itself, whatever became of its owner."""


@dataclass
class Report:
    """What a load has seen."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    workers: set[int] = field(default_factory=set)

    @property
    def served(self) -> int:
        """Requests that were answered, rightly."""
        return len(self.latencies)

    def percentile(self, fraction: float) -> float:
        """The latency in seconds below which this fraction of requests was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] if ordered else 0.0


class Load:
    """Clients that ask for blocks one after the other, half of them on connections that are kept alive.

    `rate` bounds what each client asks for, in requests a second. Use as a context manager, or `start` and `stop`.
    """

    def __init__(self, port: int, clients: int = 4, rate: float = 60.0) -> None:
        self.port = port
        self.report = Report()
        self._interval = 1.0 / rate
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._client, args=(number, number % 2 == 0), daemon=True)
            for number in range(clients)
        ]

    def start(self) -> Load:
        """Begins to ask."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> Report:
        """Ends every client after the answer it waits for, and tells what they saw."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.report

    def __enter__(self) -> Load:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _client(self, client: int, keep_alive: bool) -> None:
        """Asks, checks the answer, waits its turn; until told to end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        end = time.monotonic() + LONGEST_RUN
        number = client * 1_000_000
        while not self._over.is_set() and time.monotonic() < end:
            number += 1
            started = time.monotonic()
            try:
                worker = ask(connection, number, keep_alive)
            except (OSError, ValueError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.report.failures.append(f"request {number}: {type(error).__name__}: {error}")
                continue
            with self._lock:
                self.report.latencies.append(time.monotonic() - started)
                self.report.workers.add(worker)
            self._over.wait(max(0.0, started + self._interval - time.monotonic()))
        connection.close()


def ask(connection: http.client.HTTPConnection, number: int, keep_alive: bool) -> int:
    """One request; raises `ValueError` when the answer is not what it must be. Returns the worker's pid."""
    connection.request("GET", f"/block/{number}", headers={} if keep_alive else {"Connection": "close"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(f"status {response.status}: {body[:200]!r}")
    if json.loads(body)["number"] != number:
        raise ValueError(f"the answer to another request: {body[:200]!r}")
    return int(response.headers["X-Worker"])
