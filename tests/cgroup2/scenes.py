"""What is played on the machine: workers in groups that near their limit or meet it, and rules that are to see that.

The agent runs in a cgroup namespace of its own, as in a pod. Needs nothing but Python and the agent.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
HOME = Path("/tmp/agent")
NEW_CGROUP_NAMESPACE = 0x02000000
PATIENCE = 300.0
CONFIG = f"""
[agent]
poll = "1s"
state = "{HOME}/state"
socket = "{HOME}/socket"
[store]
directory = "{HOME}/store"
[limits]
share_window = "1s"
cooldown = "1s"
min_memory = "1MB"
min_disk = "0%"
max_memory_pressure = "100%"
max_io_pressure = "100%"
[retention]
keep_free = "0B"
[intake]
watch = false

[[rule]]
name = "near"
trigger = "cgroup"
above = "70%"
polls = 2
select = {{ cgroup = "/pods/near" }}

[[rule]]
name = "high"
trigger = "memory-events"
events = ["high"]
cooldown = "1h"
select = {{ cgroup = "/pods/tight" }}

[[rule]]
name = "oom"
trigger = "memory-events"
events = ["oom_kill"]
select = {{ cgroup = "/pods/killed" }}

[[rule]]
name = "pressed"
trigger = "pressure"
resource = "memory"
above = "5%"
polls = 1
select = {{ cgroup = "/pods/near" }}
"""
RULES = {"near": "near", "high": "tight", "oom": "killed", "pressed": "near"}
"""Each rule, and the group whose worker it is to have dumped."""
GROW = "import sys, time; kept = bytearray(int(sys.argv[1]) << 20); time.sleep(float(sys.argv[2]))"
"""Takes so many MiB for so many seconds."""


def group(name: str, **limits: str) -> Path:
    """A new group below the pods', with these limits."""
    path = GROUPS / "pods" / name
    path.mkdir()
    for key, value in limits.items():
        (path / f"memory.{key}").write_text(value)
    return path


def run(where: Path, *command: str, namespace: bool = False, pipe: int | None = None) -> subprocess.Popen[bytes]:
    """Starts a program in a group."""

    def enter() -> None:
        (where / "cgroup.procs").write_text(str(os.getpid()))
        if namespace:
            assert ctypes.CDLL(None).unshare(NEW_CGROUP_NAMESPACE) == 0

    return subprocess.Popen(command, preexec_fn=enter, stdin=pipe, stdout=pipe)


def worker(where: Path, megabytes: int) -> subprocess.Popen[bytes]:
    """A worker that is armed, with so much memory."""
    directory = HOME / where.name
    directory.mkdir()
    fake = ["/tests/fake_worker.py", str(directory), "--title", where.name, "--megabytes", str(megabytes)]
    process = run(where, sys.executable, *fake, pipe=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def wait_until(what: str, asked: Callable[[], bool]) -> None:
    """Waits for it, to the deadline."""
    end = time.monotonic() + PATIENCE
    while not asked():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def dumped() -> dict[str, int]:
    """The rules that have had a dump taken, and of which process."""
    found = [json.loads(path.read_text()) for path in HOME.glob("store/*/*/*/manifest.json")]
    return {manifest["trigger"]["rule"]: manifest["worker"]["pid"] for manifest in found}


def main() -> None:
    """Plays it all."""
    HOME.mkdir()
    (HOME / "agent.toml").write_text(CONFIG)
    (GROUPS / "cgroup.subtree_control").write_text("+memory")
    (GROUPS / "pods").mkdir()
    (GROUPS / "pods" / "cgroup.subtree_control").write_text("+memory")
    groups = {name: group(name) for name in ("agent", "near", "tight", "killed")}
    pids = {name: worker(groups[name], 60 if name == "near" else 1).pid for name in ("near", "tight", "killed")}
    command = ["/bin/heapsee-agent", "run", "--config", f"{HOME}/agent.toml"]
    agent = run(groups["agent"], *command, namespace=True)
    wait_until("the agent", (HOME / "socket").exists)
    assert dumped() == {}
    # Nears its limit and stays there.
    (groups["near"] / "memory.max").write_text(str(90 << 20))
    wait_until("the dump of the group near its limit", lambda: "near" in dumped())
    # What takes more than it should is slowed down, which others of the group wait for.
    (groups["tight"] / "memory.high").write_text(str(24 << 20))
    grower = run(groups["tight"], sys.executable, "-c", GROW, "40", "60")
    wait_until("the dumps of the group that is slowed down", lambda: {"high", "pressed"} <= dumped().keys())
    grower.kill()
    # What takes more than it may is killed, and it is not the worker.
    (groups["killed"] / "memory.max").write_text(str(60 << 20))
    killed = run(groups["killed"], sys.executable, "-c", GROW, "100", "60")
    assert killed.wait(PATIENCE) == -9
    wait_until("the dump of the group in which something was killed", lambda: "oom" in dumped())
    assert dumped() == {rule: pids[name] for rule, name in RULES.items()}, (dumped(), pids)
    agent.terminate()
    assert agent.wait(PATIENCE) == 0
    for name, path in groups.items():
        told = (path / "memory.events").read_text().split()
        print(f"{name}: memory.current {(path / 'memory.current').read_text().strip()}, events {' '.join(told)}")
    print(f"{len(RULES)} passed, 0 failed", flush=True)


if __name__ == "__main__":
    main()
