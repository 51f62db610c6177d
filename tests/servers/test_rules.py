"""The agent's rule that counts requests, by what a real uWSGI's stats server says of its workers."""

from __future__ import annotations

from pathlib import Path

from harness.daemon import Daemon
from harness.service import Service
from harness.waiting import wait_until
from servers.test_http import MASTER, UWSGI_HOOK

REQUESTS = 20
RULE = """\
[[rule]]
name = "served"
trigger = "requests"
above = {above}
stats = "{stats}"
select = {{ server = "uwsgi", command = "*{folder}*" }}
"""


def test_a_worker_that_has_served_enough_is_dumped(tmp_path: Path) -> None:
    command = [*UWSGI_HOOK, *MASTER, "--cheaper", "1", "--stats", "{folder}/stats"]
    with Service(command, {}) as server:
        rule = RULE.format(above=REQUESTS, stats=server.folder / "stats", folder=server.folder)
        with Daemon(tmp_path, rule) as daemon:
            assert daemon.dumps() == []
            pids = {server.get("/facts")["pid"] for _ in range(2 * REQUESTS + 2)}
            dump = wait_until("the rule to fire", daemon.dumps)[0]
            assert dump["error"] is None, dump
            assert dump["pid"] in pids
            assert dump["why"].endswith(" requests served")
