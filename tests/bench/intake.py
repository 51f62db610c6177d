"""What it takes the agent to take in a dump of any size: time, and memory that must not depend on it."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

from bench.measured import measure
from harness import binaries

NAME = "meliae.2026-11-24T05:23:23.000123.4711.dump"
BLOCK = 10_000
"""Lines that are written at once."""
MB = 1e6


def line(number: int) -> str:
    """One of the dump's."""
    refs = number * 7919 % 999_983
    return f'{{"address": {4096 + 64 * number}, "type": "dict", "size": 232, "len": 0, "refs": [{refs}]}}\n'


def write_dump(folder: Path, size: int) -> Path:
    """A dump of about that size and its sidecar, as of a worker that is dead by now."""
    path = folder / NAME
    digest = hashlib.sha256()
    lines = 0
    with path.open("wb") as file:
        for first in itertools.count(0, BLOCK):
            if file.tell() >= size:
                break
            block = "".join(line(number) for number in range(first, first + BLOCK)).encode()
            digest.update(block)
            file.write(block)
            lines += BLOCK
    about = {"name": NAME, "size": path.stat().st_size, "lines": lines, "sha256": digest.hexdigest()}
    sidecar = {"schema": "heapsee.dump-meta/1", "process": {"pid": 4711, "start_time_ticks": 1}, "file": about}
    path.with_name(f"{NAME}.meta.json").write_text(json.dumps(sidecar))
    return path


def bench_intake(folder: Path, size: int) -> None:
    """Prints the figures."""
    drop = folder / "drop"
    drop.mkdir()
    written = write_dump(drop, size).stat().st_size
    done = measure([binaries.AGENT, "collect", "--quiet", drop, "--store", folder / "intake"])
    (stored,) = (folder / "intake").rglob("*.zst")
    print(f"\nthe agent takes in a dump of {written / MB:,.0f} MB")
    print(
        f"  {'verified, compressed and stored in':<34}{done.seconds:>14.2f} s   {written / MB / done.seconds:,.0f} MB/s"
    )
    print(f"  {'its peak memory':<34}{done.peak / MB:>13.1f} MB")
    print(f"  {'stored':<34}{stored.stat().st_size / MB:>13.1f} MB", flush=True)
