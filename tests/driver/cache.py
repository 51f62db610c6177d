"""The folder outside the clone that keeps what is slow to get: interpreters, tools, packages, compiled dependencies.

What is there is used, and nothing depends on it: without it everything is fetched or made again. Each thing in it is
complete under its name, or absent. Runs side by side may share it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from console import ROOT

KEPT_DAYS = 30
"""What no run has used for this long is deleted."""


def cache_folder() -> Path:
    """``$HEAPSEE_CACHE``, or ``heapsee`` in the user's cache folder."""
    chosen = os.environ.get("HEAPSEE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heapsee"


def fingerprint(parts: Iterable[str], files: Iterable[Path] = ()) -> str:
    """One hash of texts and of files' names and contents."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cached(kind: str, name: str) -> Path | None:
    """The folder ``<kind>/<name>`` of the cache if it is there; notes that it was used."""
    folder = cache_folder() / kind / name
    if not folder.is_dir():
        return None
    os.utime(folder)
    return folder


def keep(kind: str, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``<kind>/<name>`` of the cache, which `make` fills unless it is there.

    It gets its name when it is complete. If another run was quicker, that run's folder stays. What `make` raises
    leaves nothing behind.
    """
    found = cached(kind, name)
    if found is not None:
        return found
    parent = cache_folder() / kind
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=parent) as making:
        folder = Path(making) / name
        folder.mkdir()
        make(folder)
        os.utime(folder)
        try:
            folder.rename(parent / name)
        except OSError:
            if not (parent / name).is_dir():
                raise
    prune(parent)
    return parent / name


def prune(parent: Path) -> None:
    """Deletes what has not been used for `KEPT_DAYS`, and what a killed run left half made."""
    oldest = time.time() - KEPT_DAYS * 24 * 60 * 60
    for folder in parent.iterdir():
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
