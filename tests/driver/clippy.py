"""Clippy in the compiler's place: what is compiled for the tests is linted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from console import run


def as_compiler() -> Mapping[str, str]:
    """An environment in which cargo compiles our crates with clippy, and a warning is an error.

    That lints all that ``cargo clippy`` would, but compiles nothing a second time: ``cargo clippy`` checks hundreds of
    dependencies anew.
    """
    folder = run(["rustc", "--print", "sysroot"], quiet=True).strip()
    return {
        "RUSTC_WORKSPACE_WRAPPER": str(Path(folder) / "bin" / "clippy-driver"),
        # How cargo-clippy itself passes `-D warnings` on.
        "CLIPPY_ARGS": "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
    }
