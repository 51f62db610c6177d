"""Which CPythons a run uses: those of this machine, and those that Debian's newer suites have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import debian
from console import StepError, say
from pythons import ORACLE, SUPPORTED, Python, find, find_supported, probe

SETTLED = "3.13"
ALSO_WITH_SERVERS = ("3.13", "3.14")
"""Besides the oldest and the newest: those that most new services are deployed on."""


@dataclass(frozen=True)
class Machine:
    """The interpreters this machine has, and what it has not: minor version → why."""

    workers: dict[str, Python]
    oracle: Python | None
    missing: dict[str, str]

    @property
    def newest(self) -> Python:
        """The newest supported CPython."""
        return list(self.workers.values())[-1]

    @property
    def settled(self) -> Python:
        """The newest CPython for which every package of others has a wheel; for what is no worker."""
        minors = list(self.workers)
        older = [minor for minor in minors if SUPPORTED.index(minor) <= SUPPORTED.index(SETTLED)]
        return self.workers[(older or minors)[-1]]

    @property
    def complete(self) -> list[str]:
        """The minor versions with which every test is run, those of every server included."""
        minors = list(self.workers)
        return [minor for minor in minors if minor in (minors[0], *ALSO_WITH_SERVERS, minors[-1])]


def all_required() -> bool:
    """Whether every supported CPython has to be here: in CI, or when asked for."""
    return os.environ.get("CI") == "true" or os.environ.get("HEAPSEE_REQUIRE_ALL") == "1"


def survey(*, fetch: bool = False) -> Machine:
    """Finds the interpreters; with `fetch`, gets from Debian what is not there.

    Raises `StepError` when there is none, or when all are required and one is missing.
    """
    wanted = os.environ.get("PYTHONS", "").split()
    found = find_supported()
    absent = [minor for minor in SUPPORTED if minor not in found and (not wanted or minor in wanted)]
    unpacked, missing = from_debian(absent, fetch=fetch)
    found.update(unpacked)
    workers = {minor: found[minor] for minor in SUPPORTED if minor in found and (not wanted or minor in wanted)}
    oracle = find(ORACLE)
    if oracle is None or oracle.missing:
        oracle, missing[f"{ORACLE} (for meliae)"] = None, "not on PATH or under pyenv"
    if not workers:
        raise StepError(
            f"no complete CPython {SUPPORTED[0]}–{SUPPORTED[-1]} found on PATH or under pyenv: "
            "install one with its venv module (Debian: apt-get install python3 python3-venv)"
        )
    if missing and fetch and all_required():
        told = "; ".join(f"{minor}: {why}" for minor, why in missing.items())
        raise StepError(f"CI needs every CPython, but these are missing: {told}")
    return Machine(workers, oracle, missing)


def from_debian(minors: Sequence[str], *, fetch: bool) -> tuple[dict[str, Python], dict[str, str]]:
    """The interpreters that were unpacked earlier, or, with `fetch`, are now; and why the others are not there."""
    executables = {minor: path for minor in minors if (path := debian.unpacked(minor))}
    to_fetch = [minor for minor in minors if minor not in executables]
    missing = dict.fromkeys(to_fetch, "not on PATH or under pyenv")
    if fetch and to_fetch:
        try:
            executables.update(debian.fetch(to_fetch))
        except StepError as failure:
            missing = dict.fromkeys(to_fetch, str(failure))
    found = {}
    for minor, executable in executables.items():
        python = probe(executable)
        if python is not None and python.minor == minor:
            found[minor] = python
        else:
            missing[minor] = f"{executable} does not run"
    return found, {minor: why for minor, why in missing.items() if minor not in found}


def announce(machine: Machine) -> None:
    """Says which CPythons this run uses and which supported ones it cannot."""
    say("CPython: " + ", ".join(python.version for python in machine.workers.values()))
    if machine.oracle:
        say(f"oracle:  meliae on CPython {machine.oracle.version}")
    for minor, why in machine.missing.items():
        say(f"not on this machine, so not tested: {minor} ({why})")
