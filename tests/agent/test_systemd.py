"""The systemd unit as it runs: under systemd, with all that it takes from the agent, and workers of other users."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import binaries, proc
from harness.booted import Booted
from harness.daemon import HARMLESS
from harness.gunicorn import DEPLOYED_CONFIG, TESTS
from harness.waiting import wait_until

pytestmark = pytest.mark.boots

DEPLOY = TESTS.parent / "deploy" / "systemd"
CONFIG = f"""
[agent]
poll = "1s"

[retention]
keep_free = "1%"

{HARMLESS.replace("watch = false", "watch = true")}

[hook]
command = ["sh", "-c", "cat >/run/heapsee/told.$$"]

[[rule]]
name = "any"
trigger = "rss"
above = "1MB"
polls = 1
"""
RIGHTS = {"dac_override": 1, "dac_read_search": 2, "fowner": 3, "kill": 5, "sys_ptrace": 19}
"""The capabilities of the unit, and their bits."""
SERVICES = {"shop": ("daemon", True), "lms": ("nobody", False)}
"""Applications: their user, and whether the directory that they dump to is seen by nobody else."""


def gunicorn(name: str, user: str, private: bool) -> str:
    """The unit of an application."""
    python = os.environ["HEAPSEE_WORKER_PYTHON"]
    bind = f"--bind unix:/run/{name}/socket --name {name}"
    # As PrivateTmp does, which would also hide what lies in the machine's /tmp.
    own = "TemporaryFileSystem=/var/tmp:mode=1777\n" if private else ""
    return (
        f"[Unit]\nDefaultDependencies=no\n[Service]\nUser={user}\nRuntimeDirectory={name}\n{own}"
        f"Environment=PYTHONPATH={TESTS} OBJECTS=2000 TMPDIR=/var/tmp PYTHONDONTWRITEBYTECODE=1\n"
        f"ExecStart={python} -m gunicorn --config {DEPLOYED_CONFIG} {bind} --workers 1 harness.app:application\n"
    )


def prefixes(python: str) -> list[Path]:
    """Where a Python and its packages are, as far as it is not below /usr."""
    asked = "import os, sys; print(sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)))"
    found = subprocess.run([python, "-c", asked], check=True, capture_output=True, encoding="utf-8", timeout=60).stdout
    return [Path(path) for path in found.split() if not path.startswith("/usr/")]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Booted]:
    """A host with the agent's unit as we ship it, and two applications, all of it running."""
    units = tmp_path / "units"
    shutil.copytree(DEPLOY, units)
    # There is no journal, and nobody wants to wait.
    ours = "[Service]\nStandardError=append:/run/agent.log\nRestartSec=100ms\n"
    (units / "heapsee-agent.service.d" / "20-test.conf").write_text(ours)
    for name, (user, private) in SERVICES.items():
        (units / f"{name}.service").write_text(gunicorn(name, user, private))
    needs = [TESTS.parent, binaries.BIN_DIR, *prefixes(os.environ["HEAPSEE_WORKER_PYTHON"])]
    with Booted(tmp_path, units, needs) as booted:
        for program in (binaries.AGENT, binaries.HEAPSEE):
            booted.path(f"/usr/bin/{program.name}").symlink_to(program)
        booted.path("/etc/heapsee").mkdir()
        booted.path("/etc/heapsee/agent.toml").write_text(CONFIG)
        for unit in [*SERVICES, "heapsee-agent"]:
            booted.run("systemctl", "start", unit).check()
        yield booted


def manifests(host: Booted) -> list[dict[str, Any]]:
    """What was collected."""
    found = host.path("/var/lib/heapsee/dumps").glob("*/*/*/manifest.json")
    return [json.loads(path.read_text()) for path in found]


def workers(host: Booted) -> list[dict[str, Any]]:
    """The workers that are armed."""
    listed: list[dict[str, Any]] = json.loads(host.run("heapsee-agent", "list", "--json").check().out)["workers"]
    return [worker for worker in listed if worker["armed"]]


def messages(host: Booted) -> list[str]:
    """What the hook was told, as far as it is whole."""
    texts = [path.read_text() for path in host.path("/run/heapsee").glob("told.*")]
    return [text for text in texts if text.endswith("\n")]


def leftovers(host: Booted) -> list[str]:
    """What is left of dumps where the workers write them."""
    places = [host.path(f"/proc/{worker['pid']}/root/var/tmp") for worker in workers(host)]
    return [path.name for place in places for path in place.iterdir() if "meliae" in path.name]


def test_the_unit_collects_from_workers_of_others_with_only_its_rights(host: Booted) -> None:
    wait_until("a dump of each", lambda: {found["app"] for found in manifests(host)} == set(SERVICES))
    for found in manifests(host):
        user, _ = SERVICES[found["app"]]
        assert str(found["worker"]["uid"]) == host.run("id", "-u", user).check().out.strip()
        assert (found["trigger"]["rule"], found["worker"]["server"]) == ("any", "gunicorn")
    wait_until("the originals to go", lambda: not leftovers(host))
    main = host.property("heapsee-agent", "MainPID")
    status = proc.status_in(host.path(f"/proc/{main}/status"))
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == sum(1 << bit for bit in RIGHTS.values())
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")

    # Whoever is to be told is, with the analyzer's summary.
    told = wait_until("the hook", lambda: [json.loads(text) for text in messages(host)][:2])
    for message in told:
        assert message["summary"]["totals"]["objects"] == message["manifest"]["dump"]["lines"]

    # It holds what it reads of workers; that makes it none.
    listed = json.loads(host.run("heapsee-agent", "list", "--all", "--json").check().out)["workers"]
    assert len(listed) >= len(SERVICES)
    assert main not in {str(row["pid"]) for row in listed}

    # A dump by hand, by the worker's own user: taken in too.
    for worker in workers(host):
        host.run("kill", "-PROF", str(worker["pid"])).check()
    wait_until("dumps by hand", lambda: sum(found["trigger"]["kind"] == "signal" for found in manifests(host)) == 2)
    wait_until("the originals to go", lambda: not leftovers(host))


def test_the_unit_is_reloaded_restarted_and_stopped(host: Booted) -> None:
    config = host.path("/etc/heapsee/agent.toml")
    assert host.property("heapsee-agent", "ActiveState") == "active"
    config.write_text(CONFIG.replace("[[rule]]", "[[rool]]"))
    assert host.run("systemctl", "reload", "heapsee-agent").code != 0
    assert host.property("heapsee-agent", "ActiveState") == "active"
    config.write_text(CONFIG.replace('name = "any"', 'name = "other"'))
    host.run("systemctl", "reload", "heapsee-agent").check()
    wait_until("the new rule", lambda: '"other"' in host.run("heapsee-agent", "status", "--json").check().out)

    main = host.property("heapsee-agent", "MainPID")
    host.run("kill", f"-{signal.SIGKILL.value}", main).check()
    wait_until("a new start", lambda: host.property("heapsee-agent", "NRestarts") == "1")
    wait_until("it to run again", lambda: host.property("heapsee-agent", "ActiveState") == "active")
    assert host.run("heapsee-agent", "status").check().out
    host.run("systemctl", "stop", "heapsee-agent").check()
    assert host.property("heapsee-agent", "ActiveState") == "inactive"
    assert host.property("heapsee-agent", "Result") == "success"


def test_the_agent_says_at_its_start_what_a_drop_in_takes_from_it(host: Booted) -> None:
    drop_in = host.path("/etc/units/heapsee-agent.service.d/30-more.conf")
    drop_in.write_text("[Service]\nSystemCallFilter=~pidfd_open\nSystemCallErrorNumber=EPERM\nRestart=no\n")
    host.run("systemctl", "daemon-reload").check()
    assert host.run("systemctl", "restart", "heapsee-agent").code != 0
    # The exit code for what is not permitted.
    assert host.property("heapsee-agent", "ExecMainStatus") == "5"
    assert "pidfd_open cannot be had" in host.path("/run/agent.log").read_text()
