"""The virtual environments under ``build/``.

One per CPython (``build/venv-3.X``: gunicorn, Django, pytest, heapsee), one with meliae on CPython 3.8 (the oracle),
one for ruff and mypy, one for the benchmarks. Each is made once, and again only when its requirements or its
interpreter change. uv makes them, from packages that it keeps in the cache.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cache import fingerprint, keep
from console import BUILD, ROOT, run, say
from debian import link_flags
from extension import RELEASE, wheel
from machine import Machine
from pythons import Python
from tools import uv, uv_environment

REQUIREMENTS = ROOT / "tests" / "requirements"
LOCKED = REQUIREMENTS / "locked"
UWSGI = {
    "UWSGI_PROFILE_OVERRIDE": "embedded_plugins=python,gevent,signal,corerouter,http;ssl=false;xml=false;pcre=false",
    "CFLAGS": "-O0 -g0",
}
"""How uWSGI compiles itself: with the plugins that the tests use, in half the time. These flags come behind its -O2."""
OLD_RELEASE = "3.14"
"""The CPython whose collector changed between its releases."""
AZURITE = ("azurite@3.37.0", "azurite-blob")
S3RVER = ("s3rver@3.7.1", "s3rver")


def up_to_date(stamp: Path, mark: str) -> bool:
    """Whether the stamp file says that this very thing has been done."""
    return stamp.is_file() and stamp.read_text() == mark


def interpreter_of(name: str) -> Path:
    """The interpreter of ``build/<name>``, whether it is there or not."""
    return BUILD / name / "bin" / "python"


def make_environment(name: str, python: Python, requirements: str) -> Path:
    """Makes ``build/<name>`` with the pinned requirements, unless it is there already. Returns its interpreter."""
    folder = BUILD / name
    interpreter = interpreter_of(name)
    stamp = folder / "made.stamp"
    files = [REQUIREMENTS / requirements, *locked_versions(name, python)]
    mark = fingerprint([str(python.executable), python.version], files)
    if up_to_date(stamp, mark):
        return interpreter
    say(f"making build/{name} with CPython {python.version}")
    new_environment(folder, python)
    install(interpreter, *required(name, python, requirements))
    stamp.write_text(mark)
    return interpreter


def required(name: str, python: Python, requirements: str) -> list[str | Path]:
    """Options that name a file of requirements, each in no other version than locked."""
    return ["--requirements", REQUIREMENTS / requirements, *constraints(name, python)]


def constraints(name: str, python: Python) -> list[str | Path]:
    """Options with which each package has the version that is locked for ``build/<name>``."""
    return [option for path in locked_versions(name, python) for option in ("--constraints", path)]


def new_environment(folder: Path, python: Python, *options: str) -> None:
    """An empty virtual environment, in place of what is there."""
    BUILD.mkdir(exist_ok=True)
    run(uv("venv", "--clear", *options, "--python", python.executable, folder), env=uv_environment(), quiet=True)


def install(interpreter: Path, *what: str | Path, env: Mapping[str, str] | None = None) -> None:
    """Installs packages into the environment of `interpreter`."""
    run(uv("pip", "install", "--python", interpreter, *what), env={**uv_environment(), **(env or {})}, quiet=True)


def locked_versions(name: str, python: Python) -> Sequence[Path]:
    """The file with the version of each package of ``build/<name>``, those included that nobody asked for by name.

    In a list, which is empty where that environment was never locked for this CPython. ``make lock`` writes the files.
    """
    path = LOCKED / python.minor / f"{name}.txt"
    return [path] if path.is_file() else []


def lock(machine: Machine) -> None:
    """Writes down which version of each package each environment has."""
    for python in machine.workers.values():
        lock_one(f"venv-{python.minor}", python)
    for name in ("venv-tools", "venv-bench", "venv-deploy"):
        lock_one(name, machine.settled)
    if machine.oracle:
        lock_one("venv-meliae", machine.oracle)


def lock_one(name: str, python: Python) -> None:
    """Writes the file that `locked_versions` finds."""
    listed = run(uv("pip", "freeze", "--python", interpreter_of(name)), env=uv_environment(), quiet=True)
    lines = [line for line in listed.splitlines(keepends=True) if "==" in line and not line.startswith("heapsee")]
    path = LOCKED / python.minor / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))


def worker_environment(python: Python, profile: str = RELEASE, *, servers: bool = False) -> Path:
    """The interpreter of ``build/venv-3.X`` for this CPython, with heapsee in it, and with every server if wanted.

    The profile is that of ``Cargo.toml`` with which heapsee is compiled.
    """
    name = f"venv-{python.minor}"
    interpreter = make_environment(name, python, "worker.txt")
    if servers:
        add_servers(name, python)
    stamp = interpreter.parents[1] / "heapsee.stamp"
    built = wheel(python, profile)
    if not up_to_date(stamp, str(built)):
        stamp.unlink(missing_ok=True)
        install(interpreter, "--no-deps", "--reinstall-package", "heapsee", built)
        stamp.write_text(str(built))
    return interpreter


def add_servers(name: str, python: Python) -> None:
    """Installs the servers into the environment of this CPython, unless they are there."""
    stamp = BUILD / name / "servers.stamp"
    mark = fingerprint([], [REQUIREMENTS / "servers.txt", *locked_versions(name, python)])
    if not up_to_date(stamp, mark):
        env = {**UWSGI, "LDFLAGS": link_flags(python.executable)}
        install(interpreter_of(name), *required(name, python, "servers.txt"), env=env)
        stamp.write_text(mark)


def oracle_environment(machine: Machine) -> Path | None:
    """The interpreter that has meliae, or None where there is no CPython 3.8."""
    return make_environment("venv-meliae", machine.oracle, "meliae.txt") if machine.oracle else None


def tools_environment(machine: Machine) -> Path:
    """The interpreter that has ruff and mypy."""
    return make_environment("venv-tools", machine.settled, "tools.txt")


def bench_environment(machine: Machine) -> Path:
    """The interpreter that has DuckDB."""
    return make_environment("venv-bench", machine.settled, "bench.txt")


def deploy_environment(machine: Machine) -> Path:
    """The interpreter that has what deploy/ is checked with, and an S3 server."""
    return make_environment("venv-deploy", machine.settled, "deploy.txt")


def old_release(python: Python) -> Path | None:
    """Where the wheel is unpacked that has an old CPython 3.14 in it; None on processors that it is not made for."""
    if os.uname().machine != "x86_64":
        return None
    wanted = REQUIREMENTS / "old-3.14.txt"

    def make(folder: Path) -> None:
        install(python.executable, "--no-deps", "--only-binary", ":all:", "--target", folder, "--requirements", wanted)

    return keep("old-releases", fingerprint([], [wanted])[:32], make)


def node_program(package: str, program: str) -> Path | None:
    """A program of a package of npm's, such as Azure's storage on loopback; None where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    folder = BUILD / package.partition("@")[0]
    stamp = folder / "made.stamp"
    if not up_to_date(stamp, package):
        say(f"making {folder.relative_to(ROOT)} with {package}")
        folder.mkdir(parents=True, exist_ok=True)
        run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, package], quiet=True)
        stamp.write_text(package)
    return folder / "node_modules" / ".bin" / program
