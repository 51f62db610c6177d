"""The Rust side: the two binaries, Rust's own tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import clippy
from cache import cached, fingerprint, keep
from console import BUILD, ROOT, run

BINARIES = ("heapsee", "heapsee-agent")
TESTED_BINARIES = BUILD / "tested"
"""Where the binaries are that the tests run."""

COMPILED = ("deps", "build", ".fingerprint")
OURS = ("heapsee*", "libheapsee*", "it-*")
"""What a target folder has of our own crates: never cached, because it belongs to one state of the sources."""


@cache
def target_folder() -> Path:
    """Where cargo builds: ``target/``, unless the user has chosen another folder in whatever way cargo knows."""
    told = run(["cargo", "metadata", "--no-deps", "--format-version", "1"], quiet=True)
    return Path(json.loads(told)["target_directory"])


def release_folder() -> Path:
    """Where `build_release` leaves the binaries."""
    return target_folder() / "release"


def build_release() -> str:
    """Makes the two binaries as users have them."""
    return run(["cargo", "build", "--release", "--locked"], label="build")


def build_tested() -> None:
    """Makes the two binaries as the tests have them: all assertions on, and compiled in half the time.

    Copies, because ``cargo test`` puts its own under the same names. What they depend on is compiled once for both.
    """
    take_dependencies()
    run(["cargo", "build", "--locked"], label="build")
    TESTED_BINARIES.mkdir(parents=True, exist_ok=True)
    for name in BINARIES:
        whole = TESTED_BINARIES / f"{name}.new"
        shutil.copy2(target_folder() / "debug" / name, whole)
        whole.replace(TESTED_BINARIES / name)


def test_and_lint() -> str:
    """Rust's own tests of the agent, the analyzer and the format; what is compiled for them is linted on the way."""
    command, env = ["cargo", "test", "--locked", "--no-fail-fast"], clippy.as_compiler()
    output = run(command, env=env, label="cargo")
    leave_dependencies()
    # Without encryption, a configuration that asks for it is refused.
    command += ["--package", "heapsee-agent", "--no-default-features", "--bins", "--", "seal::", "config::"]
    return output + run(command, env=env, label="cargo")


def lint() -> None:
    """Clippy on the agent, the analyzer and the format, as a person would run it."""
    run(["cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"], label="clippy")


def dependencies_key() -> str:
    """A name for what the binaries and their tests depend on, compiled by this compiler with these settings."""
    manifests = [path for depth in ("", "*/", "*/*/") for path in ROOT.glob(f"{depth}Cargo.toml")]
    settings = [os.environ.get(name, "") for name in ("RUSTFLAGS", "CARGO_BUILD_TARGET")]
    return fingerprint([run(["rustc", "-vV"], quiet=True), *settings], [*manifests, ROOT / "Cargo.lock"])[:32]


def take_dependencies() -> None:
    """Takes compiled dependencies from the cache into a target folder that has nothing yet."""
    debug = target_folder() / "debug"
    found = None if debug.exists() else cached("dependencies", dependencies_key())
    if found:
        debug.mkdir(parents=True)
        copy(found, debug, COMPILED)


def leave_dependencies() -> None:
    """Leaves the compiled dependencies in the cache."""
    debug = target_folder() / "debug"

    def make(folder: Path) -> None:
        copy(debug, folder, COMPILED)
        for name in COMPILED:
            for pattern in OURS:
                for path in (folder / name).glob(pattern):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    keep("dependencies", dependencies_key(), make)


def copy(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copies folders with the moments of their files, by which cargo knows what is up to date."""
    run(["cp", "--archive", "--reflink=auto", *(source / name for name in names), target], quiet=True)
