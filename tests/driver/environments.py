"""The virtual environments under ``build/``, and the extension inside each.

One per CPython (``build/venv-3.X``: gunicorn, Django, pytest, heapsee), one with meliae on CPython 3.8 (the oracle),
one for ruff and mypy, one for the benchmarks. Each is made once and again only when its requirements or its interpreter
change; heapsee is built again only when its sources change. Nothing outside of ``build/`` and ``target/`` is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from console import BUILD, ROOT, StepError, run, say
from pythons import ORACLE, SUPPORTED, Python, find, find_supported

REQUIREMENTS = ROOT / "tests" / "requirements"
LOCKED = REQUIREMENTS / "locked"
AZURITE = ("azurite@3.37.0", "azurite-blob")
S3RVER = ("s3rver@3.7.1", "s3rver")
EXTENSION_SOURCES = ("Cargo.toml", "Cargo.lock", "pyext")
IGNORED_FOLDERS = {"__pycache__", "tests", "target", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Machine:
    """The interpreters this machine has, and what it has not."""

    workers: dict[str, Python]
    oracle: Python | None

    @property
    def newest(self) -> Python:
        """The newest supported CPython."""
        return list(self.workers.values())[-1]

    @property
    def with_servers(self) -> list[str]:
        """The minor versions on which every server is run: the oldest and the newest, to save time."""
        minors = list(self.workers)
        return sorted({minors[0], minors[-1]}, key=minors.index)

    @property
    def missing(self) -> list[str]:
        """The minor versions that are not here, the oracle's included."""
        missing = [minor for minor in SUPPORTED if minor not in self.workers]
        return missing if self.oracle else [*missing, f"{ORACLE} (for meliae)"]


def all_required() -> bool:
    """Whether every supported CPython has to be here: in CI, or when asked for."""
    return os.environ.get("CI") == "true" or os.environ.get("HEAPSEE_REQUIRE_ALL") == "1"


def survey() -> Machine:
    """Finds the interpreters; raises `StepError` when there is none, or when all are required and one is missing."""
    wanted = os.environ.get("PYTHONS", "").split()
    workers = {minor: python for minor, python in find_supported().items() if not wanted or minor in wanted}
    oracle = find(ORACLE)
    machine = Machine(workers, None if oracle is None or oracle.missing else oracle)
    if not workers:
        raise StepError(
            f"no complete CPython {SUPPORTED[0]}–{SUPPORTED[-1]} found on PATH or under pyenv: "
            "install one with its venv module (Debian: apt-get install python3 python3-venv)"
        )
    if machine.missing and all_required():
        raise StepError(f"CI needs every CPython, but these are missing: {', '.join(machine.missing)}")
    return machine


def announce(machine: Machine) -> None:
    """Says which CPythons this run uses and which supported ones it cannot."""
    say("CPython: " + ", ".join(python.version for python in machine.workers.values()))
    if machine.oracle:
        say(f"oracle:  meliae on CPython {machine.oracle.version}")
    if machine.missing:
        say(f"not on this machine, so not tested: {', '.join(machine.missing)}")


def fingerprint(parts: Iterable[str], files: Iterable[Path] = ()) -> str:
    """One hash of texts and of files' names and contents."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


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
    wanted = REQUIREMENTS / requirements
    locked = locked_versions(name, python)
    stamp = folder / "made.stamp"
    mark = fingerprint([str(python.executable), python.version], [wanted, *locked])
    if up_to_date(stamp, mark):
        return interpreter
    say(f"making build/{name} with CPython {python.version}")
    if folder.exists():
        shutil.rmtree(folder)
    BUILD.mkdir(exist_ok=True)
    run([python.executable, "-m", "venv", folder], quiet=True)
    run([*pip_install(interpreter, locked), "-r", wanted], quiet=True)
    stamp.write_text(mark)
    return interpreter


def locked_versions(name: str, python: Python) -> list[Path]:
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
        lock_one(name, machine.newest)
    if machine.oracle:
        lock_one("venv-meliae", machine.oracle)


def lock_one(name: str, python: Python) -> None:
    """Writes the file that `locked_versions` finds."""
    listed = run([interpreter_of(name), "-m", "pip", "freeze", "--exclude", "heapsee"], quiet=True)
    path = LOCKED / python.minor / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line for line in listed.splitlines(keepends=True) if "==" in line))


def pip_install(interpreter: Path, locked: Iterable[Path] = ()) -> list[str | Path]:
    """The start of a command that installs into the environment of `interpreter`, in no other version than locked."""
    options = [option for path in locked for option in ("--constraint", path)]
    return [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options]


def extension_sources() -> list[Path]:
    """Every file that the built extension depends on."""
    found: list[Path] = []
    for name in EXTENSION_SOURCES:
        path = ROOT / name
        found.extend([path] if path.is_file() else path.rglob("*"))
    files = [path for path in found if path.is_file() and path.suffix not in {".so", ".pyc"}]
    return [path for path in files if not IGNORED_FOLDERS & set(path.relative_to(ROOT).parts)]


def build_environment(interpreter: Path) -> Mapping[str, str]:
    """What cargo needs in its environment so that all CPythons share one target folder."""
    return {"CARGO_TARGET_DIR": str(BUILD / "cargo-pyext"), "PYO3_PYTHON": str(interpreter)}


def install_extension(interpreter: Path) -> None:
    """Builds heapsee for this interpreter and installs it, exactly as a user would, if its sources have changed."""
    stamp = interpreter.parents[1] / "heapsee.stamp"
    mark = fingerprint(["heapsee"], extension_sources())
    if up_to_date(stamp, mark):
        return
    say(f"building and installing heapsee into {interpreter.parents[1].relative_to(ROOT)}")
    stamp.unlink(missing_ok=True)
    run([*pip_install(interpreter), "./pyext"], env=build_environment(interpreter), quiet=True)
    stamp.write_text(mark)


def worker_environment(python: Python) -> Path:
    """The interpreter of ``build/venv-3.X`` for this CPython, with heapsee installed in it."""
    interpreter = make_environment(f"venv-{python.minor}", python, "worker.txt")
    install_extension(interpreter)
    return interpreter


def add_servers(python: Python) -> None:
    """Installs the servers into the environment of this CPython, unless they are there."""
    interpreter = interpreter_of(f"venv-{python.minor}")
    wanted = REQUIREMENTS / "servers.txt"
    locked = locked_versions(f"venv-{python.minor}", python)
    stamp = interpreter.parents[1] / "servers.stamp"
    mark = fingerprint([], [wanted, *locked])
    if up_to_date(stamp, mark):
        return
    say(f"installing the servers into {interpreter.parents[1].relative_to(ROOT)}")
    run([*pip_install(interpreter, locked), "-r", wanted], quiet=True)
    stamp.write_text(mark)


def oracle_environment(machine: Machine) -> Path | None:
    """The interpreter that has meliae, or None where there is no CPython 3.8."""
    return make_environment("venv-meliae", machine.oracle, "meliae.txt") if machine.oracle else None


def tools_environment(machine: Machine) -> Path:
    """The interpreter that has ruff and mypy."""
    return make_environment("venv-tools", machine.newest, "tools.txt")


def bench_environment(machine: Machine) -> Path:
    """The interpreter that has DuckDB."""
    return make_environment("venv-bench", machine.newest, "bench.txt")


def deploy_environment(machine: Machine) -> Path:
    """The interpreter that has what deploy/ is checked with, and an S3 server."""
    return make_environment("venv-deploy", machine.newest, "deploy.txt")


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


def promtool() -> Path | None:
    """Prometheus' own checker: this machine's, else Debian's, unpacked but not installed; None where neither is."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    folder = BUILD / "prometheus"
    tool = folder / "usr" / "bin" / "promtool"
    if tool.is_file():
        return tool
    if shutil.which("apt-get") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(["sh", "-c", f"cd '{folder}' && apt-get -qq download prometheus"], quiet=True)
        (package,) = folder.glob("prometheus_*.deb")
        run(["dpkg", "--extract", package, folder], quiet=True)
    except (StepError, ValueError):
        return None
    return tool if tool.is_file() else None
