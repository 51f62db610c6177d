"""What ``make lint`` and ``make test`` check, and what each check needs before it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from console import ROOT, run, say
from environments import (
    AZURITE,
    OLD_RELEASE,
    S3RVER,
    deploy_environment,
    interpreter_of,
    node_program,
    old_release,
    oracle_environment,
    tools_environment,
    worker_environment,
)
from extension import TESTED
from extension import lint as lint_extension
from house import house
from installed import check_source_distribution
from lanes import Job, run_all
from machine import Machine, announce, survey
from memcheck import check_memory, has_valgrind
from prometheus import promtool
from pythons import Python
from rust import TESTED_BINARIES, build_tested, test_and_lint
from rust import lint as lint_rust
from tally import Tally

PYTHON_SOURCES = ("tests", "deploy", "pyext/python", "pyext/data", "pyext/tests")
WHOLE = os.environ.get("HEAPSEE_WHOLE") == "1"
"""Whether every test is run with every CPython, also those that depend little on it."""
LANES = 3
"""So many checks run at a time, on two processors: most of the tests wait more than they compute."""

BINARIES = "build: the two binaries"
TOOLS = "environment: ruff, mypy"
ORACLE = "environment: meliae"
DEPLOY = "environment: deploy"


class Plan:
    """The jobs of one run, in the order of their importance."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.tally = Tally()
        self.jobs: list[Job] = []

    def add(self, title: str, action: Callable[[], object], *needs: str, after: Sequence[str] = ()) -> str:
        """One more; its title."""
        self.jobs.append(Job(title, lambda: self.tally.step(title, action), needs, after))
        return title

    def carry_out(self) -> None:
        """Runs them all; raises `StepError` when anything failed."""
        started = time.monotonic()
        left_out = run_all(self.jobs, LANES)
        say(f"\n{(time.monotonic() - started) / 60:.1f} minutes")
        for title in left_out:
            say(f"not run, because what it needs has failed: {title}")
        self.tally.close()


def lint() -> None:
    """Checks form only."""
    plan = Plan(survey())
    plan_lint(plan)
    plan.add("lint: clippy (agent, analyzer, format)", lint_rust)
    plan.add("lint: clippy (pyext, for each CPython)", partial(lint_extension, plan.machine.workers.values()))
    plan.carry_out()


def test() -> None:
    """Everything: form, Rust's tests, and per CPython the extension's own tests, the oracles, the end-to-end tests."""
    machine = survey(fetch=True)
    announce(machine)
    plan = Plan(machine)
    # First what most of the others need, and takes long.
    plan.add(BINARIES, build_tested)
    plan_environments(plan)
    if machine.oracle:
        plan.add(ORACLE, partial(oracle_environment, machine))
    plan.add("clippy and cargo test (agent, analyzer, format)", test_and_lint, BINARIES)
    plan_lint(plan)
    for minor in machine.complete:
        plan_servers(plan, machine.workers[minor])
    for python in machine.workers.values():
        plan_worker(plan, python)
    plan_analyzer(plan)
    plan_agent(plan)
    plan_memcheck(plan)
    plan.carry_out()


def plan_environments(plan: Plan) -> None:
    """The environment of each CPython with the extension in it; one after the other, because they share what is built.

    First those with which all tests are run.
    """
    machine = plan.machine
    before: list[str] = []
    for python in sorted(machine.workers.values(), key=lambda python: python.minor not in machine.complete):
        action = partial(worker_environment, python, TESTED, servers=python.minor in machine.complete)
        before = [plan.add(environment(python), action, after=before)]


def plan_lint(plan: Plan) -> None:
    """Formatting, ruff, mypy, and the shape of the sources."""
    plan.add("lint: cargo fmt", partial(run, ["cargo", "fmt", "--all", "--check"]))
    plan.add(TOOLS, partial(tools_environment, plan.machine))
    tools = interpreter_of("venv-tools").parent
    plan.add("lint: ruff check", partial(run, [tools / "ruff", "check", *PYTHON_SOURCES]), TOOLS)
    plan.add("lint: ruff format", partial(run, [tools / "ruff", "format", "--check", *PYTHON_SOURCES]), TOOLS)
    plan.add("lint: mypy --strict", partial(run, [tools / "mypy"]), TOOLS)
    plan.add("house: circles, lengths, documentation, duplicates", house)


def environment(python: Python) -> str:
    """The title of the job that makes this CPython's environment."""
    return f"environment: CPython {python.minor}"


def plan_worker(plan: Plan, python: Python) -> None:
    """The tests of one CPython, the longest first; with some of them, only what depends on it."""
    oracle = interpreter_of("venv-meliae") if plan.machine.oracle else None
    needs = [environment(python), *([ORACLE] if oracle else [])]
    is_between = python.minor not in plan.machine.complete and not WHOLE
    without = [*([] if oracle else ["meliae"]), *(["outermost"] if is_between else [])]
    suites = {
        # The binaries take long to build: what does without them does not wait for them.
        "the extension": ("pyext/tests", needs),
        "end to end": ("tests/e2e", [*needs, BINARIES]),
        "oracles": ("tests/oracle", [*needs, BINARIES]),
        "healthy processes": ("tests/healthy", [*needs, BINARIES]),
    }
    for what, (folder, needed) in suites.items():
        action = partial(check_worker, python, folder, without, oracle)
        plan.add(f"CPython {python.minor}: {what}", action, *needed)


def check_worker(python: Python, folder: str, without: Sequence[str], oracle: Path | None) -> str:
    """One folder of tests in the environment of one CPython; with 3.14, also on an old release of it."""
    old = old_release(python) if python.minor == OLD_RELEASE else None
    if python.minor == OLD_RELEASE and old is None:
        say(f"not made for this processor, so not tested: an old release of CPython {OLD_RELEASE}")
        without = [*without, "old_release"]
    env = {"HEAPSEE_MELIAE_PYTHON": str(oracle or ""), "HEAPSEE_OLD_314": str(old or "")}
    return pytest(python.minor, f"venv-{python.minor}", folder, without=without, env=env)


def plan_analyzer(plan: Plan) -> None:
    """The analyzer on dumps that no worker has made: they need to be tried with one CPython only."""
    settled = plan.machine.settled
    oracle = interpreter_of("venv-meliae") if plan.machine.oracle else None
    env = {"HEAPSEE_MELIAE_PYTHON": str(oracle or "")}
    without = [] if oracle else ["meliae"]
    action = partial(pytest, "analyzer", f"venv-{settled.minor}", "tests/analyzer", without=without, env=env)
    needs = [BINARIES, environment(settled), *([ORACLE] if oracle else [])]
    plan.add("analyzer: graphs and the terminal", action, *needs)


def plan_memcheck(plan: Plan) -> None:
    """The extension under valgrind, where that is."""
    settled = plan.machine.settled
    if not has_valgrind():
        say("not on this machine, so the extension is not run under it: valgrind (Debian: apt-get install valgrind)")
        return
    action = partial(check_memory, interpreter_of(f"venv-{settled.minor}"))
    plan.add("memcheck: the extension under valgrind", action, environment(settled))


def plan_servers(plan: Plan, python: Python) -> None:
    """Every server, with this CPython."""
    action = partial(pytest, python.minor, f"venv-{python.minor}", "tests/servers")
    plan.add(f"CPython {python.minor}: servers", action, BINARIES, environment(python))


def plan_agent(plan: Plan) -> None:
    """What is under deploy/, the agent against programs of others, and what users install."""
    settled = plan.machine.settled
    plan.add(DEPLOY, partial(deploy_environment, plan.machine))
    plan.add("deploy: the files, by their own tools", check_deploy, BINARIES, DEPLOY)
    action = partial(check_agent, interpreter_of(f"venv-{settled.minor}"))
    plan.add("agent: storage and encryption", action, BINARIES, DEPLOY, environment(settled))
    plan.add("source distribution", partial(check_source_distribution, plan.machine.newest))


def check_deploy() -> str:
    """What is under deploy/. Only where systemd is can its unit be verified, and alerts only where promtool is."""
    left_out = []
    if shutil.which("systemd-analyze") is None:
        say("not on this machine, so not tested: the systemd unit (Debian: apt-get install systemd)")
        left_out.append("systemd")
    tool = promtool()
    if tool is None:
        say("not on this machine, so not tested: what the alerts say (Debian: apt-get install prometheus)")
        left_out.append("promtool")
    env = {"HEAPSEE_PROMTOOL": str(tool or "")}
    return pytest("deploy", "venv-deploy", "tests/deploy", without=left_out, env=env)


def check_agent(worker: Path) -> str:
    """The agent against servers and programs of others, with dumps of a real worker; some only where npm is."""
    azurite, s3rver = node_program(*AZURITE), node_program(*S3RVER)
    if azurite is None:
        say("not on this machine, so not tested: Azure, and a second S3 server (Debian: apt-get install npm)")
    env = {
        "HEAPSEE_WORKER_PYTHON": str(worker),
        "HEAPSEE_AZURITE": str(azurite or ""),
        "HEAPSEE_S3RVER": str(s3rver or ""),
        "HEAPSEE_DEPLOY_PYTHON": str(interpreter_of("venv-deploy")),
    }
    left_out = [] if azurite else ["azurite", "s3rver"]
    if not can_boot():
        say("not possible here, so not tested: the systemd unit as it runs (root, namespaces; apt-get install systemd)")
        left_out.append("boots")
    return pytest("agent", "venv-deploy", "tests/agent", without=left_out, env=env)


def can_boot() -> bool:
    """Whether a systemd can be process 1 here, in namespaces of its own, on a host that is made for it."""
    if os.geteuid() != 0 or shutil.which("systemctl") is None or shutil.which("nsenter") is None:
        return False
    mounts = """
        mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work /mnt/usr /mnt/cgroup &&
        mount -t overlay -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/usr &&
        mount -t cgroup2 none /mnt/cgroup && mkdir /mnt/cgroup/probe && rmdir /mnt/cgroup/probe
    """
    command = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "sh", "-c", mounts]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def pytest(
    label: str,
    environment: str,
    *arguments: str,
    without: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> str:
    """Runs pytest in one of the environments, without tests of these markers; a skipped test is a failure."""
    ours = {
        "PYTHONPATH": str(ROOT / "tests"),
        # Whatever the user's shell says: thousands of processes import the same modules, which are compiled once.
        "PYTHONDONTWRITEBYTECODE": "",
        "HEAPSEE_BIN_DIR": str(TESTED_BINARIES),
    }
    options = ["-q", "-p", "harness.no_skips", "-p", "no:cacheprovider"]
    if without:
        options += ["-m", " and ".join(f"not {marker}" for marker in without)]
    command: list[str | Path] = [interpreter_of(environment), "-m", "pytest", *options, *arguments]
    return run(command, env={**ours, **(env or {})}, label=label)
