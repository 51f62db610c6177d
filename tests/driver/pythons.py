"""Finds the CPythons of this machine.

Looks at ``python3.X`` on PATH and at pyenv's versions; takes the first of each minor version that runs and has what a
virtual environment and the tests need. Installs nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
"""The minor versions that heapsee supports."""

ORACLE = "3.8"
"""The version that meliae runs on."""

NEEDED_MODULES = ("ctypes", "sqlite3", "ssl", "venv", "zlib")

PROBE = """
import importlib.util, json, platform, sys
print(json.dumps({
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "version": platform.python_version(),
    "implementation": platform.python_implementation(),
    "missing": [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None],
}))
"""


@dataclass(frozen=True)
class Python:
    """One interpreter: its minor version (``3.11``), its full version, where it is and which modules it lacks."""

    minor: str
    version: str
    executable: Path
    missing: tuple[str, ...]


def probe(candidate: Path) -> Python | None:
    """Asks an executable what it is; None when it does not run, as a shim of an inactive version, or is no CPython."""
    command = [str(candidate), "-I", "-c", PROBE, *NEEDED_MODULES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if answer["implementation"] != "CPython":
        return None
    minor = ".".join(answer["version"].split(".")[:2])
    return Python(minor, answer["version"], Path(answer["executable"]), tuple(answer["missing"]))


def candidates(minor: str) -> list[Path]:
    """Where a CPython of this minor version may be: every one on PATH, then pyenv's, newest patch first."""
    found = []
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        program = shutil.which(f"python{minor}", path=folder)
        if program:
            found.append(Path(program))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    versions = [folder for folder in pyenv.glob(f"versions/{minor}.*") if folder.name.split(".")[2:]]
    versions.sort(key=lambda folder: [int(part) if part.isdigit() else -1 for part in folder.name.split(".")])
    found.extend(folder / "bin" / "python" for folder in reversed(versions))
    return found


def find(minor: str) -> Python | None:
    """The first complete CPython of this minor version; failing that, an incomplete one; or None."""
    incomplete = None
    for candidate in candidates(minor):
        python = probe(candidate)
        if python is None or python.minor != minor:
            continue
        if not python.missing:
            return python
        incomplete = incomplete or python
    return incomplete


def find_supported() -> dict[str, Python]:
    """Minor version → interpreter, for every supported one that is on this machine and complete.

    A machine whose only CPython is called ``python3`` is served as well.
    """
    found = {}
    for minor in SUPPORTED:
        python = find(minor)
        if python is not None and not python.missing:
            found[minor] = python
    default = shutil.which("python3")
    if default:
        python = probe(Path(default))
        if python is not None and not python.missing and python.minor in SUPPORTED:
            found.setdefault(python.minor, python)
    return dict(sorted(found.items(), key=lambda item: SUPPORTED.index(item[0])))
