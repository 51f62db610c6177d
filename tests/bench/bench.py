"""What a dump costs the worker, and what reading it costs the developer, each against what it competes with.

Everything is measured in this one run on this one machine: the ratios count, not the seconds. ``OBJECTS`` sets the size
of the heap; the default is the size of the story's. ``BYTES`` adds so many in large values. ``INTAKE`` is
how large a dump is that the agent takes in.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.agent import bench_agent
from bench.intake import bench_intake
from bench.latency import bench_latency
from bench.measured import measure
from harness import binaries

ROOT = Path(__file__).resolve().parents[2]
MB = 1e6
# What reading a dump may take of memory at most, in bytes for each object and each reference.
BYTES_OF_OBJECT, BYTES_OF_REFERENCE = 160, 16


def row(what: str, value: str, remark: str = "") -> None:
    """One line of the report."""
    print(f"  {what:<34}{value:>16}   {remark}".rstrip(), flush=True)


def machine() -> str:
    """One line on what this ran on."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    cpu = model[1] if model else platform.machine()
    gigabytes = int(memory[1]) / 1e6 if memory else 0
    return (
        f"{os.cpu_count()} × {cpu}, {gigabytes:.0f} GB, Linux {platform.release()}, CPython {platform.python_version()}"
    )


def bench_worker(objects: int, dumps_folder: Path) -> Path:
    """The worker's side. Returns the dump."""
    command = [sys.executable, "-m", "bench.subject", str(objects), str(dumps_folder)]
    done = subprocess.run(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    metas = [dump["meta"] for dump in seen["dumps"]]
    counts = metas[-1]["counts"]
    fork = statistics.median(seen["forks"])
    pause = statistics.median(meta["timings"]["pause_ns"] / 1e9 for meta in metas)
    felt = statistics.median(dump["seen_pause"] for dump in seen["dumps"])
    walk = min(meta["timings"]["walk_ns"] / 1e9 for meta in metas)
    whole = statistics.median(dump["seconds"] for dump in seen["dumps"])
    rss = seen["rss"]
    print(f"\nthe worker: {counts['objects']:,} objects, {counts['refs']:,} references, {rss / MB:,.0f} MB resident")
    row("bare fork of it", f"{fork * 1000:.1f} ms", f"median of {len(seen['forks'])}")
    row(
        "pause for a dump",
        f"{pause * 1000:.1f} ms",
        f"{pause / fork:.2f} × the fork, {pause * 1e12 / rss:.1f} ms per GB",
    )
    row("pause as another thread felt it", f"{felt * 1000:.1f} ms", f"{felt / fork:.2f} × the fork")
    row("from signal to published file", f"{whole:.2f} s", f"{metas[-1]['file']['size'] / MB:,.0f} MB")
    row("walked and written", f"{counts['objects'] / walk / 1e6:.2f} M/s", f"objects a second, best of {len(metas)}")
    private = metas[-1]["memory"].get("child_private_dirty")
    if private is not None:
        row("private memory of the copy", f"{private / MB:,.0f} MB", f"{private / rss:.1%} of resident")
    copied = statistics.median(dump["copied"] for dump in seen["dumps"])
    row("memory that the worker wrote to", f"{copied / MB:,.1f} MB", "meanwhile: so much the kernel copied for it")
    return Path(seen["dumps"][-1]["path"])


def bench_import() -> None:
    """What a worker pays at its start."""
    program = "import time; before = time.perf_counter(); import heapsee; print(time.perf_counter() - before)"
    seconds = [float(measure([sys.executable, "-c", program]).text()) for _ in range(9)]
    print("\nthe start of a worker")
    row("import heapsee", f"{statistics.median(seconds) * 1000:.2f} ms", f"median of {len(seconds)}")


def questions(dump: Path) -> str:
    """Commands for the shell, each followed by what says that it is done."""
    return f"""
echo at start
read {dump}
echo at read
select count(*), type from obj group by type order by 1;
echo at histogram
path from "address in 0&" to "type = 'KvsFieldData'"
echo at path
"""


def bench_reader(dump: Path) -> tuple[int, int]:
    """The developer's side. Returns how many objects and references the dump has."""
    theirs = measure([os.environ["HEAPSEE_BENCH_PYTHON"], Path(__file__).with_name("with_duckdb.py"), dump])
    duckdb = json.loads(theirs.text())
    deletion = "delete from ref where child in (select address from obj where type = 'XMLModuleStore')"
    script = f"{questions(dump)}{deletion}\necho at delete\ngc\necho at gc\n"
    ours = measure([binaries.HEAPSEE, "shell", "--strict", "--no-index"], script)
    summary = re.search(r"(\d+) \(\S+\) objects and (\d+) \(\S+\) references", ours.text())
    assert summary, ours.text()
    objects, refs = int(summary[1]), int(summary[2])
    if objects != duckdb["objects"]:
        raise RuntimeError(f"heapsee reads {objects} objects, DuckDB {duckdb['objects']}")
    read = ours.seconds_between("at start", "at read")
    histogram = ours.seconds_between("at read", "at histogram")
    budget = BYTES_OF_OBJECT * objects + BYTES_OF_REFERENCE * refs
    bounds = f"{BYTES_OF_OBJECT} bytes an object and {BYTES_OF_REFERENCE} a reference; after all queries"
    print(f"\nthe reader: {dump.stat().st_size / MB:,.0f} MB, against DuckDB {duckdb['version']} on the same file")
    row(
        "read",
        f"{read:.2f} s",
        f"DuckDB's read_ndjson into a table {duckdb['read']:.2f} s: {duckdb['read'] / read:.1f} ×",
    )
    row("peak memory", f"{ours.peak / MB:,.0f} MB", f"DuckDB {theirs.peak / MB:,.0f} MB")
    row("  of the budget", f"{ours.peak / budget:.0%}", bounds)
    row("histogram by type", f"{histogram:.2f} s", f"DuckDB {duckdb['histogram']:.2f} s")
    row("path from the root", f"{ours.seconds_between('at histogram', 'at path'):.2f} s")
    row("gc after a delete", f"{ours.seconds_between('at delete', 'at gc'):.2f} s")
    return objects, refs


def main() -> None:
    """Measures both sides."""
    print(machine(), flush=True)
    # A folder of its own, so that two runs do not meet; under build, because the temporary directory may be memory.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build") as folder:
        bench_import()
        bench_reader(bench_worker(int(os.environ.get("OBJECTS", "4000000")), Path(folder)))
        bench_latency(Path(folder))
        bench_agent(Path(folder))
        bench_intake(Path(folder), int(os.environ.get("INTAKE", "100000000")))


if __name__ == "__main__":
    main()
