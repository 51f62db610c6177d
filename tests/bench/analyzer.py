"""The reader alone, for heaps of several sizes: ``OBJECTS="400000 4000000" python -m bench.analyzer``.

Ratios count, not seconds: what is compared is measured in the same run on the same file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.bench import MB, ROOT, bench_reader, machine, measure, questions, row
from harness import binaries


def make_dump(objects: int, path: Path) -> None:
    """The story's heap of about this size."""
    subprocess.run(
        [sys.executable, "-m", "harness.holder", "two-stores", str(objects), str(path)],
        cwd=ROOT / "tests",
        stdout=subprocess.DEVNULL,
        check=True,
    )


def bench_index(dump: Path) -> None:
    """What opening the dump again costs."""
    script = f"{questions(dump)}gc\necho at gc\n"
    first = measure([binaries.HEAPSEE, "shell", "--strict"], script)
    again = measure([binaries.HEAPSEE, "shell", "--strict"], script)
    index = dump.with_name(f"{dump.name}.heapsee-index")
    written = first.seconds_between("at start", "at read")
    opened = again.seconds_between("at start", "at read")
    row("read, and index written", f"{written:.2f} s", f"{index.stat().st_size / MB:,.0f} MB of index")
    row("opened again", f"{opened:.3f} s", f"{written / opened:.0f} × as fast")
    for before, after in (("at read", "at histogram"), ("at histogram", "at path"), ("at path", "at gc")):
        row(f"  then {after.removeprefix('at ')}", f"{again.seconds_between(before, after):.2f} s")
    row("  peak memory", f"{again.peak / MB:,.0f} MB")


def main() -> None:
    """Measures at each size."""
    print(machine(), flush=True)
    for objects in map(int, os.environ.get("OBJECTS", "400000 4000000").split()):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build") as folder:
            dump = Path(folder) / "two-stores.dump"
            make_dump(objects, dump)
            bench_reader(dump)
            bench_index(dump)


if __name__ == "__main__":
    main()
