"""The application of celery's tests. Its broker is a folder, ``BROKER`` in the environment."""

from __future__ import annotations

import os

from celery import Celery

from servers.moments import live_through

FOLDER = os.environ["BROKER"]

app = Celery("servers", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": FOLDER, "data_folder_out": FOLDER, "control_folder": FOLDER},
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


def moment(name: str, place: str) -> None:
    """A task that lasts as long as the test wants."""
    live_through(name, place)


task = app.task(name="servers.moment", ignore_result=True)(moment)
