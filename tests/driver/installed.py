"""What users install is tried as they would: with pip, into a bare environment, where it arms a process.

Publishes nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from console import BUILD, StepError, run, say
from environments import make_environment, new_environment
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
    """Makes a wheel for each CPython into ``build/wheels``, for any Linux of this processor's kind, and tries each."""
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
        try_installed(wheel, BUILD / "packaging" / f"wheel-{python.minor}", python)
        say(f"build/wheels/{wheel.name}")


def try_installed(distribution: Path, environment: Path, python: Python) -> None:
    """Installs it into a new environment of this CPython; `StepError` unless it arms a process just when told."""
    new_environment(environment, python, "--seed")
    interpreter = environment / "bin" / "python"
    pip: list[str | Path] = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, distribution], env=build_environment(interpreter), quiet=True)
    run([interpreter, "-c", ARMED], env={"HEAPSEE_INSTALL": "1", "HEAPSEE_SIGNAL": "USR2", "HEAPSEE_MODE": "fork"})
    if run([interpreter, "-c", "import sys; print('heapsee' in sys.modules)"], quiet=True).strip() != "False":
        raise StepError("an interpreter imports heapsee although HEAPSEE_INSTALL is not set")
