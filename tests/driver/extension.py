"""The extension as a wheel for each CPython, built once for all who install it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cache import fingerprint, keep
from console import BUILD, ROOT, run, say
from pythons import Python
from tools import tool

MANIFEST = ROOT / "pyext" / "Cargo.toml"
SOURCES = ("Cargo.toml", "Cargo.lock", "pyext", "tests/requirements/driver.txt")
IGNORED_FOLDERS = {"__pycache__", "tests", "target", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def sources() -> list[Path]:
    """Every file that the built extension depends on."""
    found: list[Path] = []
    for name in SOURCES:
        path = ROOT / name
        found.extend([path] if path.is_file() else path.rglob("*"))
    files = [path for path in found if path.is_file() and path.suffix not in {".so", ".pyc"}]
    return [path for path in files if not IGNORED_FOLDERS & set(path.relative_to(ROOT).parts)]


def build_environment(interpreter: Path) -> Mapping[str, str]:
    """What cargo needs in its environment so that all CPythons share one target folder."""
    return {"CARGO_TARGET_DIR": str(BUILD / "cargo-pyext"), "PYO3_PYTHON": str(interpreter)}


def kept_under(python: Python) -> str:
    """The name of this CPython's wheel in the cache: another one for other sources, interpreter or compiler."""
    compiler = run(["rustc", "-vV"], quiet=True)
    return fingerprint([str(python.executable), python.version, compiler], sources())[:32]


def wheel(python: Python) -> Path:
    """The wheel for this CPython, built by maturin as for a release unless it is there already."""

    def make(folder: Path) -> None:
        say(f"building heapsee for CPython {python.version}")
        command: list[str | Path] = [tool("maturin"), "build", "--release", "--locked", "--manifest-path", MANIFEST]
        command += ["--compatibility", "linux", "--interpreter", python.executable, "--out", folder]
        run(command, env=build_environment(python.executable), quiet=True)

    (built,) = keep("wheels", kept_under(python), make).glob("heapsee-*.whl")
    return built
