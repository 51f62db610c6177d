"""The verbs: what ``make setup``, ``make demo``, ``make bench`` and the others do, step by step.

``make test`` and ``make lint`` are in `checks`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from checks import PYTHON_SOURCES, lint, pytest, test
from console import BUILD, ROOT, StepError, heading, run, say, shown
from environments import (
    LOCKED,
    bench_environment,
    deploy_environment,
    lock,
    oracle_environment,
    tools_environment,
    worker_environment,
)
from extension import TESTED
from house import house
from installed import build_wheels
from machine import announce, survey
from memcheck import check_memory, has_valgrind
from rust import build_release, build_tested, release_folder, target_folder
from virtual_machine import check_cgroup2

FUZZ_ROUNDS = os.environ.get("HEAPSEE_FUZZ_ROUNDS", "20000")
FUZZ_SECONDS = os.environ.get("HEAPSEE_FUZZ_SECONDS", "120")
# What cargo-fuzz asks of the compiler when it is to go without a sanitizer: a stable one will do.
FUZZ_FLAGS = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
]
CHURN_LIVES = os.environ.get("HEAPSEE_LIVES", "5000")
CHURN_SEED = os.environ.get("HEAPSEE_SEED", str(time.time_ns()))
SOAK_DUMPS = os.environ.get("HEAPSEE_SOAK", "5000")


def setup() -> None:
    """Makes every environment and builds everything."""
    machine = survey(fetch=True)
    announce(machine)
    build_release()
    for python in machine.workers.values():
        worker_environment(python, servers=python.minor in machine.complete)
    oracle_environment(machine)
    tools_environment(machine)
    bench_environment(machine)
    deploy_environment(machine)
    say("everything is set up")


def lock_versions() -> None:
    """Environments as new as their requirements allow, and the versions they have got, for all who make them next."""
    shutil.rmtree(LOCKED, ignore_errors=True)
    setup()
    lock(survey())


def fmt() -> None:
    """Formats Rust and Python."""
    tools = tools_environment(survey())
    run(["cargo", "fmt", "--all"])
    ruff = tools.parent / "ruff"
    run([ruff, "check", "--fix", *PYTHON_SOURCES])
    run([ruff, "format", *PYTHON_SOURCES])


def attached(interpreter: Path, module: str, env: dict[str, str]) -> None:
    """Runs a module under `tests` that talks to the person in front of the terminal itself."""
    command = [str(interpreter), "-m", module]
    ours = {"PYTHONPATH": str(ROOT / "tests"), "HEAPSEE_BIN_DIR": str(release_folder()), **env}
    status = subprocess.run(command, cwd=ROOT, env={**os.environ, **ours}, check=False).returncode
    if status != 0:
        raise StepError(f"exit {status}: {shown(command)}")


def demo() -> None:
    """The story, played on a real server."""
    machine = survey()
    build_release()
    interpreter = worker_environment(machine.newest)
    attached(interpreter, "demo.demo", {})


def demo_agent() -> None:
    """The agent's story: a leak, a rule, a bucket."""
    machine = survey()
    build_release()
    env = {"HEAPSEE_DEPLOY_PYTHON": str(deploy_environment(machine))}
    attached(worker_environment(machine.newest), "demo.agent", env)


def bench() -> None:
    """The figures of ARCHITECTURE.md, measured on this machine."""
    machine = survey()
    build_release()
    env = {"HEAPSEE_BENCH_PYTHON": str(bench_environment(machine))}
    attached(worker_environment(machine.newest), "bench.bench", env)


def bench_analyzer() -> None:
    """The reader's figures alone, for heaps of several sizes, and what the index spares."""
    machine = survey()
    build_release()
    env = {"HEAPSEE_BENCH_PYTHON": str(bench_environment(machine))}
    attached(worker_environment(machine.newest), "bench.analyzer", env)


def fuzz() -> None:
    """Files that are nearly dumps, many more of them than in the tests; then lines, as libFuzzer finds them."""
    run(
        ["cargo", "test", "--locked", "-p", "heapsee", "--test", "it", "fuzz"], env={"HEAPSEE_FUZZ_ROUNDS": FUZZ_ROUNDS}
    )
    fuzz_lines()


def fuzz_lines() -> None:
    """The parsers of a line, by libFuzzer. What is worth keeping goes into the corpus by hand, with `-merge=1`."""
    crate, found = ROOT / "analyzer" / "fuzz", BUILD / "fuzz-corpus" / "line"
    verbose = run(["rustc", "-vV"])
    host = next(line.removeprefix("host: ") for line in verbose.splitlines() if line.startswith("host: "))
    env = {"CARGO_TARGET_DIR": str(BUILD / "fuzz"), "RUSTFLAGS": " ".join(FUZZ_FLAGS)}
    # With a target named, build scripts and macros are not instrumented.
    run(["cargo", "build", "--release", "--locked", "--target", host, "--manifest-path", crate / "Cargo.toml"], env=env)
    found.mkdir(parents=True, exist_ok=True)
    program = BUILD / "fuzz" / host / "release" / "line"
    limits = [f"-max_total_time={FUZZ_SECONDS}", "-max_len=4096", f"-artifact_prefix={BUILD}/fuzz-"]
    run([program, found, crate / "corpus" / "line", *limits], label="libFuzzer")


def soak() -> None:
    """One worker dumped thousands of times; in the tests it is a hundred."""
    newest = survey().newest
    build_tested()
    worker_environment(newest, TESTED)
    env = {"HEAPSEE_SOAK": SOAK_DUMPS}
    pytest(newest.minor, f"venv-{newest.minor}", "tests/e2e/test_soak.py", "-s", env=env)


def churn() -> None:
    """The agent's daemon through thousands of workers' lives; in the tests it is hundreds."""
    machine = survey()
    build_tested()
    deploy_environment(machine)
    env = {"HEAPSEE_LIVES": CHURN_LIVES, "HEAPSEE_SEED": CHURN_SEED}
    pytest("agent", "venv-deploy", "tests/agent/test_churn.py", "-s", env=env)


def memcheck() -> None:
    """The extension under valgrind, with each CPython."""
    if not has_valgrind():
        raise StepError("valgrind is not on PATH: apt-get install valgrind")
    for python in survey().workers.values():
        heading(f"CPython {python.minor}: memcheck")
        check_memory(worker_environment(python, TESTED))


def cgroup2() -> None:
    """The agent's rules on a machine whose memory is in control groups of version 2."""
    settled = survey().settled
    build_release()
    check_cgroup2(settled.executable, release_folder() / "heapsee-agent")


def wheels() -> None:
    """What a release carries: a wheel of the extension for each CPython."""
    build_wheels(survey(fetch=True))


def clean() -> None:
    """Removes everything that was built."""
    for folder in (BUILD, target_folder()):
        shutil.rmtree(folder, ignore_errors=True)


VERBS: dict[str, Callable[[], object]] = {
    "setup": setup,
    "build": build_release,
    "test": test,
    "house": house,
    "demo": demo,
    "demo-agent": demo_agent,
    "bench": bench,
    "bench-analyzer": bench_analyzer,
    "fuzz": fuzz,
    "soak": soak,
    "churn": churn,
    "memcheck": memcheck,
    "cgroup2": cgroup2,
    "wheels": wheels,
    "lock": lock_versions,
    "lint": lint,
    "fmt": fmt,
    "clean": clean,
}
