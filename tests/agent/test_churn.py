"""The daemon through hundreds of workers' lives: no trigger is missed, none answered twice, and nothing in it grows.

``HEAPSEE_LIVES=5000`` and ``make churn`` make it that many, from another seed each time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent.churn import BALLAST, POLLS, RULE, Host, Nursery
from harness.daemon import Daemon

LIVES = int(os.environ.get("HEAPSEE_LIVES", "150"))
SEED = int(os.environ.get("HEAPSEE_SEED", "1"))
WARM_UP = 40
"""So many lives first: stacks of threads that have ended are kept for the next, and the allocator's free lists fill."""

RESIDENT_SLACK = 8 << 20
DESCRIPTORS_SLACK = 30
THREADS_SLACK = 4
STATE_SLACK = 500


def test_thousands_of_lives(tmp_path: Path) -> None:
    print(f"HEAPSEE_SEED={SEED}")
    started = time.monotonic()
    with Nursery(tmp_path / "dumps") as nursery:
        above = nursery.thin() // 1_000_000 + BALLAST // 2
        rule = RULE.format(above=above, polls=POLLS, directory=nursery.directory)
        # It looks when it is told to, and once of its own accord.
        with Daemon(tmp_path / "agent", rule, poll="1h") as daemon:
            host = Host(nursery, daemon, SEED)
            host.wait_for_first_look()
            host.live(LIVES // 3, crashes=True)
            host.live(WARM_UP, crashes=False)
            before = host.size()
            host.live(LIVES - LIVES // 3 - WARM_UP, crashes=False)
            after = host.size()
            host.check_metrics()
            host.check()
    print(f"{host.report()}, in {time.monotonic() - started:.0f} s: {before} → {after}")
    assert sum(life.stored for life in host.lives) > LIVES // 5
    assert after.resident - before.resident < RESIDENT_SLACK
    assert after.descriptors - before.descriptors < DESCRIPTORS_SLACK
    assert after.threads - before.threads < THREADS_SLACK
    assert after.state - before.state < STATE_SLACK
