"""Armed or not: the worker's status, its control block and the agent say the same, whatever became of the signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import binaries, proc
from harness.waiting import wait_until

NOT_ARMED = 4

ORDERS = """
import json, os, signal, sys
import heapsee
heapsee.install_memory_dumper()
for order in sys.stdin:
    result = None
    exec(json.loads(order))
    print(json.dumps(result), flush=True)
"""


class Process:
    """A process that has heapsee, and does what it is told, line by line."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ORDERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )

    def __call__(self, source: str) -> Any:
        """Runs the source in it; what that leaves in ``result``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(source) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def armed(self) -> tuple[bool, bool]:
        """Whether it is armed, in its own words and in the agent's."""
        (worker,) = [worker for worker in binaries.agent_list() if worker["pid"] == self.process.pid]
        return bool(self("result = heapsee.status()['armed']")), bool(worker["armed"])

    def refusal(self, store: Path) -> str:
        """What the agent says when it is to dump it: no."""
        done = binaries.run(binaries.AGENT, "dump", "--pid", str(self.process.pid), "--store", store)
        assert done.code == NOT_ARMED, done
        assert self.process.poll() is None, "the agent's signal has killed it"
        return done.err


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    running = Process(dumps)
    try:
        running("pass")
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_installed_and_uninstalled(process: Process, tmp_path: Path) -> None:
    assert process.armed() == (True, True)
    assert binaries.agent_dump(process.process.pid, tmp_path / "store").exists()
    process("heapsee.uninstall_memory_dumper()")
    assert process.armed() == (False, False)
    assert "uninstalled" in process.refusal(tmp_path / "store")


@pytest.mark.parametrize("taken", ["signal.SIG_DFL", "signal.SIG_IGN", "lambda *_: sys.exit(1)"])
def test_the_signal_taken_by_somebody_else_and_given_back(process: Process, tmp_path: Path, taken: str) -> None:
    process(f"before = signal.signal(signal.SIGPROF, {taken})")
    assert process.armed() == (False, False)
    assert "handler" in process.refusal(tmp_path / "store")
    process("signal.signal(signal.SIGPROF, signal.SIG_DFL); heapsee.install_memory_dumper()")
    assert process.armed() == (True, True)
    assert binaries.agent_dump(process.process.pid, tmp_path / "store").exists()


def test_a_stopped_process_is_left_alone(process: Process, tmp_path: Path) -> None:
    pid = process.process.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until("the process to stop", lambda: proc.status(pid)["State"].startswith("T"))
    assert "does not answer" in process.refusal(tmp_path / "store")
    os.kill(pid, signal.SIGCONT)
    assert process.armed() == (True, True)


def test_a_forked_child_is_asked_by_itself(process: Process) -> None:
    child = process(
        "end, hold = os.pipe(); result = os.fork()\n"
        "if result == 0:\n"
        "    os.close(hold); signal.signal(signal.SIGPROF, lambda *_: None); os.read(end, 1); os._exit(0)"
    )

    def known() -> bool:
        workers = {worker["pid"]: worker["armed"] for worker in binaries.agent_list()}
        return not workers[child] and bool(workers[process.process.pid])

    wait_until("the child, and not its parent, to be unarmed", known)
    process("os.close(hold); os.waitpid(-1, 0)")
