"""Runs the built binaries, `heapsee` and `heapsee-agent`, as a person would; never waits for ever."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
BIN_DIR = Path(os.environ.get("HEAPSEE_BIN_DIR") or TESTS.parent / "target" / "release")
HEAPSEE = BIN_DIR / "heapsee"
AGENT = BIN_DIR / "heapsee-agent"


@dataclass(frozen=True)
class Done:
    """How a program ended and what it said."""

    code: int
    out: str
    err: str

    def check(self) -> Done:
        """Itself, if the program succeeded."""
        assert self.code == 0, f"exit {self.code}\nstdout: {self.out[-2000:]}\nstderr: {self.err[-2000:]}"
        return self


def run(
    program: Path,
    *arguments: str | Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    user: int | None = None,
    cwd: Path | None = None,
) -> Done:
    """Runs a program to its end, as another user if asked (only root can). A hang is a failure."""
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        input=stdin,
        env={**os.environ, **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
        cwd=cwd,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_module(name: str, *arguments: str | Path, timeout: float = 300.0) -> Done:
    """Runs a module of the tests in a process of its own, with this Python."""
    return run(Path(sys.executable), "-m", name, *arguments, timeout=timeout, cwd=TESTS).check()


def agent_dump(pid: int, store: Path, *options: str) -> Path:
    """Has the agent dump this worker; where it put the dump."""
    done = run(AGENT, "dump", "--pid", str(pid), "--store", store, *options).check()
    return Path(done.out.strip())


def agent_list(*options: str) -> list[dict[str, Any]]:
    """What the agent knows about the workers of this machine."""
    answer = json.loads(run(AGENT, "list", "--json", *options).check().out)
    workers: list[dict[str, Any]] = answer["workers"]
    return workers


def summary(dump: Path) -> dict[str, Any]:
    """What the analyzer says about a dump."""
    answer: dict[str, Any] = json.loads(run(HEAPSEE, "summary", "--json", "--limit", "0", dump).check().out)
    return answer


def shell(commands: Sequence[str], *arguments: str | Path, cwd: Path | None = None) -> list[str]:
    """Plays commands in one `heapsee shell` fed from a pipe; what each of them printed.

    A marker echoed behind each command tells the outputs apart.
    """
    lines = []
    for number, command in enumerate(commands):
        lines += [command, f"echo end of command {number}"]
    script = "".join(f"{line}\n" for line in lines)
    done = run(HEAPSEE, "shell", "--strict", *arguments, stdin=script, cwd=cwd, timeout=300).check()
    outputs = re.split(r"^end of command \d+\n", done.out, flags=re.MULTILINE)
    assert len(outputs) == len(commands) + 1, f"{len(outputs)} outputs of {len(commands)} commands:\n{done.out}"
    return outputs[:-1]
