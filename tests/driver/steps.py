"""The verbs: what ``make lint``, ``make test``, ``make demo`` and the others do, step by step."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from console import BUILD, ROOT, StepError, heading, run, say, shown, tests_ignored, tests_passed
from environments import (
    Machine,
    add_servers,
    bench_environment,
    build_environment,
    deploy_environment,
    oracle_environment,
    survey,
    tools_environment,
    worker_environment,
)
from source_distribution import check_source_distribution

FUZZ_ROUNDS = os.environ.get("HEAPSEE_FUZZ_ROUNDS", "20000")
PYTHON_SOURCES = ("tests", "deploy", "pyext/python", "pyext/data", "pyext/tests")
RELEASE = ROOT / "target" / "release"
SIDE_BY_SIDE = 2
"""So many CPythons are tested at a time."""


@dataclass
class Tally:
    """What has passed and what has failed so far."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, title: str, action: Callable[[], str]) -> None:
        """Runs one step under its heading; a failure is kept for the end, so that one run shows them all.

        Steps may run side by side.
        """
        heading(title)
        started = time.monotonic()
        try:
            output = action()
            if tests_ignored(output):
                raise StepError(f"{tests_ignored(output)} tests were ignored, and an ignored test is a failure")
        except StepError as failure:
            say(f"FAILED: {failure}")
            with self.lock:
                self.failures.append(f"{title}: {failure}")
        else:
            with self.lock:
                self.passed += tests_passed(output)
            say(f"ok: {title} ({time.monotonic() - started:.0f} s)")

    def close(self) -> None:
        """Prints the closing line; raises `StepError` when anything failed."""
        heading("result")
        for failure in self.failures:
            say(f"FAILED: {failure}")
        say(f"tests: {self.passed} passed, {len(self.failures)} failed")
        if self.failures:
            raise StepError(f"{len(self.failures)} steps failed")


def announce(machine: Machine) -> None:
    """Says which CPythons this run uses and which supported ones it cannot."""
    say("CPython: " + ", ".join(python.version for python in machine.workers.values()))
    if machine.oracle:
        say(f"oracle:  meliae on CPython {machine.oracle.version}")
    if machine.missing:
        say(f"not on this machine, so not tested: {', '.join(machine.missing)}")


def setup() -> None:
    """Makes every environment and builds everything."""
    machine = survey()
    announce(machine)
    build()
    worker_environments(machine)
    oracle_environment(machine)
    tools_environment(machine)
    bench_environment(machine)
    deploy_environment(machine)
    say("everything is set up under build/ and target/")


def worker_environments(machine: Machine) -> dict[str, Path]:
    """Minor version → interpreter of its environment, with all in it that the tests need."""
    interpreters = {python.minor: worker_environment(python) for python in machine.workers.values()}
    for minor in machine.with_servers:
        add_servers(interpreters[minor])
    return interpreters


def build() -> None:
    """Makes the two binaries."""
    run(["cargo", "build", "--release", "--locked"])


def fmt() -> None:
    """Formats Rust and Python."""
    tools = tools_environment(survey())
    run(["cargo", "fmt", "--all"])
    ruff = tools.parent / "ruff"
    run([ruff, "check", "--fix", *PYTHON_SOURCES])
    run([ruff, "format", *PYTHON_SOURCES])


def clippy_extension(machine: Machine) -> str:
    """Clippy on the extension for every CPython: code that depends on the version is linted for each."""
    for python in machine.workers.values():
        env = {**build_environment(python.executable), "CARGO_TARGET_DIR": str(BUILD / "cargo-pyext-check")}
        run(["cargo", "clippy", "--locked", "-p", "heapsee-pyext", "--all-targets", "--", "-D", "warnings"], env=env)
    return ""


def lint_steps(machine: Machine, tally: Tally) -> None:
    """Formatting, clippy, ruff and mypy."""
    tools = tools_environment(machine)
    ruff, mypy = tools.parent / "ruff", tools.parent / "mypy"
    tally.step("lint: cargo fmt", lambda: run(["cargo", "fmt", "--all", "--check"]))
    clippy = ["cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"]
    tally.step("lint: clippy (agent, analyzer, format)", lambda: run(clippy))
    tally.step("lint: clippy (pyext, for each CPython)", lambda: clippy_extension(machine))
    tally.step("lint: ruff check", lambda: run([ruff, "check", *PYTHON_SOURCES]))
    tally.step("lint: ruff format", lambda: run([ruff, "format", "--check", *PYTHON_SOURCES]))
    tally.step("lint: mypy --strict", lambda: run([mypy]))


def lint() -> None:
    """Checks form only."""
    tally = Tally()
    lint_steps(survey(), tally)
    tally.close()


def pytest(
    minor: str, interpreter: Path, oracle: Path | None, *arguments: str, env: dict[str, str] | None = None
) -> str:
    """Runs pytest in a CPython's environment, where a skipped test is a failure."""
    ours = {
        "PYTHONPATH": str(ROOT / "tests"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HEAPSEE_BIN_DIR": str(RELEASE),
        "HEAPSEE_MELIAE_PYTHON": str(oracle or ""),
    }
    command: list[str | Path] = [
        interpreter,
        "-m",
        "pytest",
        "-q",
        "-p",
        "harness.no_skips",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    return run(command, env={**ours, **(env or {})}, label=minor)


def test() -> None:
    """Everything: form, Rust's tests, and per CPython the extension's own tests, the oracles, the end-to-end tests."""
    started = time.monotonic()
    machine = survey()
    announce(machine)
    tally = Tally()
    lint_steps(machine, tally)
    tally.step("cargo test", lambda: run(["cargo", "test", "--locked", "--no-fail-fast"]))
    heading("build: the two binaries")
    build()
    tally.step("deploy: the files, by their own tools", lambda: test_deploy(machine))
    oracle = oracle_environment(machine)
    interpreters = worker_environments(machine)
    # Side by side, because these tests wait more than they compute.
    with ThreadPoolExecutor(SIDE_BY_SIDE) as lanes:
        running = [lanes.submit(test_worker, *worker, oracle, tally) for worker in interpreters.items()]
        running += [lanes.submit(test_servers, minor, interpreters[minor], tally) for minor in machine.with_servers]
        running.append(lanes.submit(test_agent, interpreters[machine.newest.minor], deploy_environment(machine), tally))
        for lane in running:
            lane.result()
    tools = tools_environment(machine)
    tally.step("source distribution", lambda: check_source_distribution(tools, machine.newest))
    say(f"\n{(time.monotonic() - started) / 60:.1f} minutes")
    tally.close()


def test_deploy(machine: Machine) -> str:
    """What is under deploy/. Only where systemd is can its unit be verified."""
    has_systemd = shutil.which("systemd-analyze") is not None
    if not has_systemd:
        say("not on this machine, so not tested: the systemd unit (Debian: apt-get install systemd)")
    chosen = () if has_systemd else ("-m", "not systemd")
    return pytest("deploy", deploy_environment(machine), None, "tests/deploy", *chosen)


def test_worker(minor: str, interpreter: Path, oracle: Path | None, tally: Tally) -> None:
    """The tests of one CPython."""
    without_meliae = () if oracle else ("-m", "not meliae")
    tally.step(f"CPython {minor}: the extension", lambda: pytest(minor, interpreter, oracle, "pyext/tests"))
    tally.step(f"CPython {minor}: oracles", lambda: pytest(minor, interpreter, oracle, "tests/oracle", *without_meliae))
    tally.step(f"CPython {minor}: end to end", lambda: pytest(minor, interpreter, oracle, "tests/e2e"))


def test_servers(minor: str, interpreter: Path, tally: Tally) -> None:
    """Every server, with this CPython."""
    tally.step(f"CPython {minor}: servers", lambda: pytest(minor, interpreter, None, "tests/servers"))


def test_agent(worker: Path, interpreter: Path, tally: Tally) -> None:
    """The agent against programs of others, with dumps of a real worker."""
    env = {"HEAPSEE_WORKER_PYTHON": str(worker)}
    tally.step("agent: storage and encryption", lambda: pytest("agent", interpreter, None, "tests/agent", env=env))


def attached(interpreter: Path, module: str, env: dict[str, str]) -> None:
    """Runs a module under `tests` that talks to the person in front of the terminal itself."""
    command = [str(interpreter), "-m", module]
    ours = {"PYTHONPATH": str(ROOT / "tests"), "HEAPSEE_BIN_DIR": str(RELEASE), **env}
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, **ours}, check=False).returncode
    if status != 0:
        raise StepError(f"exit {status}: {shown(command)}")


def demo() -> None:
    """The story, played on a real server."""
    machine = survey()
    build()
    interpreter = worker_environment(machine.newest)
    attached(interpreter, "demo.demo", {})


def demo_agent() -> None:
    """The agent's story: a leak, a rule, a bucket."""
    machine = survey()
    build()
    env = {"HEAPSEE_DEPLOY_PYTHON": str(deploy_environment(machine))}
    attached(worker_environment(machine.newest), "demo.agent", env)


def bench() -> None:
    """The figures of ARCHITECTURE.md, measured on this machine."""
    machine = survey()
    build()
    env = {"HEAPSEE_BENCH_PYTHON": str(bench_environment(machine))}
    attached(worker_environment(machine.newest), "bench.bench", env)


def bench_analyzer() -> None:
    """The reader's figures alone, for heaps of several sizes, and what the index spares."""
    machine = survey()
    build()
    env = {"HEAPSEE_BENCH_PYTHON": str(bench_environment(machine))}
    attached(worker_environment(machine.newest), "bench.analyzer", env)


def fuzz() -> None:
    """Files that are nearly dumps, many more of them than in the tests."""
    run(
        ["cargo", "test", "--locked", "-p", "heapsee", "--test", "it", "fuzz"], env={"HEAPSEE_FUZZ_ROUNDS": FUZZ_ROUNDS}
    )


def clean() -> None:
    """Removes everything that was built."""
    for folder in (BUILD, ROOT / "target"):
        shutil.rmtree(folder, ignore_errors=True)


VERBS: dict[str, Callable[[], None]] = {
    "setup": setup,
    "build": build,
    "test": test,
    "demo": demo,
    "demo-agent": demo_agent,
    "bench": bench,
    "bench-analyzer": bench_analyzer,
    "fuzz": fuzz,
    "lint": lint,
    "fmt": fmt,
    "clean": clean,
}
