"""What users install is tried as they would: with pip, into a bare environment, where it arms a process.

Publishes nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from console import BUILD, ROOT, StepError, run, say
from environments import OLD_RELEASE, constraints, install, make_environment, new_environment, old_release
from extension import MANIFEST, build_environment
from machine import Machine
from pythons import Python
from tools import tool

ARMED = """
import sys
status = sys.modules["heapsee"].status()
assert status["armed"] and status["signal"] == 12 and status["mode"] == "fork", status
"""
C_LIBRARY = "manylinux2014"
"""The oldest C library that wheels run with: glibc 2.17, as of 2012."""


def check_source_distribution(python: Python) -> str:
    """Builds it with maturin, installs it with `python`'s pip, and tries it."""
    folder = BUILD / "packaging"
    shutil.rmtree(folder, ignore_errors=True)
    run([tool("maturin"), "sdist", "--manifest-path", MANIFEST, "--out", folder], quiet=True)
    (distribution,) = folder.glob("heapsee-*.tar.gz")
    try_installed(distribution, folder / "venv", python)
    return ""


def build_wheels(machine: Machine) -> None:
    """Makes a wheel for each CPython into ``build/wheels``, for any Linux of this processor's kind, and tries each.

    The source distribution is tried too, with each CPython that runs every test.
    """
    tools = make_environment("venv-wheels", machine.settled, "wheels.txt")
    folder = BUILD / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    # That of the environment is the Zig that maturin is to find.
    path = os.pathsep.join([str(tools.parent), os.environ["PATH"]])
    command: list[str | Path] = [tools, "-m", "maturin", "build", "--release", "--locked", "--manifest-path", MANIFEST]
    # Zig's linker has the symbols of old C libraries; maturin checks that no newer one is needed.
    command += ["--zig", "--compatibility", C_LIBRARY, "--out", folder]
    for python in machine.workers.values():
        env = {**build_environment(python.executable), "PATH": path}
        run([*command, "--interpreter", python.executable], env=env, quiet=True)
        (wheel,) = folder.glob(f"heapsee-*-cp{python.minor.replace('.', '')}-*.whl")
        environment = BUILD / "packaging" / f"wheel-{python.minor}"
        try_installed(wheel, environment, python)
        if python.minor == OLD_RELEASE:
            try_on_old_release(environment, python)
        say(f"build/wheels/{wheel.name}")
    for minor in machine.complete:
        check_source_distribution(machine.workers[minor])
        say(f"the source distribution is compiled and installed with CPython {minor}")


def try_installed(distribution: Path, environment: Path, python: Python) -> None:
    """Installs it into a new environment of this CPython; `StepError` unless it arms a process just when told."""
    new_environment(environment, python, "--seed")
    interpreter = environment / "bin" / "python"
    pip: list[str | Path] = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, distribution], env=build_environment(interpreter), quiet=True)
    run([interpreter, "-c", ARMED], env={"HEAPSEE_INSTALL": "1", "HEAPSEE_SIGNAL": "USR2", "HEAPSEE_MODE": "fork"})
    if run([interpreter, "-c", "import sys; print('heapsee' in sys.modules)"], quiet=True).strip() != "False":
        raise StepError("an interpreter imports heapsee although HEAPSEE_INSTALL is not set")


def try_on_old_release(environment: Path, python: Python) -> None:
    """Runs what is installed there on an earlier release of the same CPython, whose collector is another."""
    old = old_release(python)
    if old is None:
        say(f"not made for this processor, so not tried: an old release of CPython {OLD_RELEASE}")
        return
    interpreter = environment / "bin" / "python"
    install(interpreter, "pytest", *constraints(f"venv-{python.minor}", python))
    command: list[str | Path] = [interpreter, "-m", "pytest", "-q", "-p", "harness.no_skips", "-p", "no:cacheprovider"]
    command += ["pyext/tests/test_old_release.py", "-k", "collector or every_age"]
    run(command, env={"PYTHONPATH": str(ROOT / "tests"), "HEAPSEE_OLD_314": str(old)}, quiet=True)
