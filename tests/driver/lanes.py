"""Runs jobs side by side, each as soon as what it needs is done. Knows nothing of what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from console import StepError


@dataclass(frozen=True)
class Job:
    """Something to do, the titles of the jobs that must have gone well before, and of those that must only be over.

    The action returns whether it went well.
    """

    title: str
    action: Callable[[], bool]
    needs: Sequence[str] = ()
    after: Sequence[str] = ()


def run_all(jobs: Sequence[Job], lanes: int) -> list[str]:
    """Runs `lanes` jobs at a time; of those that can run, the first in the list is next.

    In the list, a job comes behind those it waits for. Returns the titles of those that were not run, because something
    that they need did not go well.
    """
    waiting = list(jobs)
    running: dict[Future[bool], Job] = {}
    well: dict[str, bool] = {}
    left_out: list[str] = []
    with ThreadPoolExecutor(lanes) as pool:
        while True:
            ready = []
            for job in list(waiting):
                if any(well.get(need) is False for need in job.needs):
                    well[job.title] = False
                    left_out.append(job.title)
                    waiting.remove(job)
                elif all(title in well for title in (*job.needs, *job.after)):
                    ready.append(job)
            for job in ready[: lanes - len(running)]:
                waiting.remove(job)
                running[pool.submit(job.action)] = job
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                well[running.pop(future).title] = future.result()
    if waiting:
        raise StepError(f"what these wait for is not in the plan: {', '.join(job.title for job in waiting)}")
    return left_out
