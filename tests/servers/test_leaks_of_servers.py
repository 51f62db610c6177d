"""Leaks in applications of uvicorn and celery, each three at once: all three are named without a hint."""

from __future__ import annotations

import sys
from pathlib import Path

from websockets.sync.client import unix_connect

from harness import binaries
from harness.service import Service
from harness.waiting import wait_until
from leaks import asgi
from leaks.checks import check_named
from leaks.culprit import Culprit
from servers.test_celery import WORKER, Celery, Setting, celery_of

UVICORN = [sys.executable, "-m", "uvicorn", "--uds", "{http}", "--no-access-log", "leaks.asgi:app"]
ARMED = {"HEAPSEE_INSTALL": "1"}

ORDERS = 2000
# `leaks.celery_tasks` can be imported by a worker only.
OF_CELERY = [
    Culprit(path="sys.modules['leaks.celery_tasks'].results", holds="EagerResult", count=ORDERS),
    Culprit(path="sys.modules['leaks.celery_tasks'].report.rendered", holds="list", count=ORDERS),
    Culprit(path="worker_process_shutdown.receivers", holds="tuple", count=ORDERS),
]


def test_tasks_sockets_and_requests_on_uvicorn(tmp_path: Path) -> None:
    with Service(UVICORN, ARMED) as server:
        for number in range(asgi.ORDERS):
            pid = server.get(f"/order/{number}")["pid"]
        for _ in range(asgi.VISITORS):
            with unix_connect(str(server.http), "ws://localhost/feed") as visitor:
                assert visitor.recv() == "welcome"
        dump = binaries.agent_dump(pid, tmp_path)
    for culprit in asgi.CULPRITS:
        check_named(dump, culprit)


def test_results_tasks_and_handlers_on_celery(tmp_path: Path) -> None:
    setting = Setting([*celery_of("leaks.celery_tasks"), *WORKER, "--include", "heapsee.celery"])
    with Celery(setting) as celery:
        place = celery.folder / "done"
        celery.send("leaks.orders", ORDERS, str(place))
        pid = wait_until("the orders to be taken", lambda: place.exists() and place.read_text())
        dump = binaries.agent_dump(int(pid), tmp_path)
    for culprit in OF_CELERY:
        check_named(dump, culprit)
