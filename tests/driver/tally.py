"""What has passed and what has failed in a run of checks. Decides nothing about what is checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from console import METER, StepError, heading, say, tests_ignored, tests_passed

SHOWN = 10
"""How many of the most expensive jobs the closing table lists."""


@dataclass
class Tally:
    """What has passed and what has failed so far."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, title: str, action: Callable[[], object]) -> bool:
        """Runs one step under its heading; a failure is kept for the end, so that one run shows them all.

        What it returns is what it printed, if that is a text. Steps may run side by side. True: it went well.
        """
        heading(title)
        started, METER.seconds = time.monotonic(), 0
        try:
            result = action()
            output = result if isinstance(result, str) else ""
            if tests_ignored(output):
                raise StepError(f"{tests_ignored(output)} tests were ignored, and an ignored test is a failure")
        except StepError as failure:
            say(f"FAILED: {failure}")
            with self.lock:
                self.failures.append(f"{title}: {failure}")
            return False
        finally:
            with self.lock:
                self.costs[title] = METER.seconds
        with self.lock:
            self.passed += tests_passed(output)
        say(f"ok: {title} ({time.monotonic() - started:.0f} s, {METER.seconds:.0f} of a processor)")
        return True

    def close(self) -> None:
        """Prints what the run cost and the closing line; raises `StepError` when anything failed."""
        heading("processor seconds")
        most_expensive = sorted(self.costs.items(), key=lambda item: -item[1])
        for title, seconds in most_expensive[:SHOWN]:
            say(f"{seconds:7.0f}  {title}")
        say(f"{sum(self.costs.values()):7.0f}  in all {len(self.costs)} jobs")
        heading("result")
        for failure in self.failures:
            say(f"FAILED: {failure}")
        say(f"tests: {self.passed} passed, {len(self.failures)} failed")
        if self.failures:
            raise StepError(f"{len(self.failures)} steps failed")
