"""The extension as a wheel for each CPython, built once for all who install it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import clippy
from cache import fingerprint, keep
from console import BUILD, ROOT, run, say
from pythons import Python
from tools import tool

RELEASE, TESTED = "release", "tested"
"""Profiles in ``Cargo.toml``: what users install, and what the tests run."""

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


def kept_under(python: Python, profile: str) -> str:
    """The name of this CPython's wheel in the cache: another one for other sources, interpreter or compiler."""
    compiler = run(["rustc", "-vV"], quiet=True)
    return fingerprint([str(python.executable), python.version, compiler, profile], sources())[:32]


def wheel(python: Python, profile: str) -> Path:
    """The wheel for this CPython, built by maturin with one of the profiles in Cargo.toml unless it is there already.

    For the tests, it is linted on the way: code that depends on the version is linted for each.
    """

    def make(folder: Path) -> None:
        say(f"building heapsee for CPython {python.version}")
        command: list[str | Path] = [
            tool("maturin"),
            "build",
            "--profile",
            profile,
            "--locked",
            "--manifest-path",
            MANIFEST,
        ]
        command += ["--compatibility", "linux", "--interpreter", python.executable, "--out", folder]
        linted = clippy.as_compiler() if profile == TESTED else {}
        run(command, env={**build_environment(python.executable), **linted}, quiet=True)

    (built,) = keep("wheels", kept_under(python, profile), make).glob("heapsee-*.whl")
    return built


def lint(pythons: Iterable[Python]) -> None:
    """Clippy on the extension for every CPython, as a person would run it."""
    for python in pythons:
        env = {**build_environment(python.executable), "CARGO_TARGET_DIR": str(BUILD / "cargo-pyext-check")}
        command = ["cargo", "clippy", "--locked", "-p", "heapsee-pyext", "--all-targets", "--", "-D", "warnings"]
        run(command, env=env, label=f"clippy {python.minor}")
