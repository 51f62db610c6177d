"""The reader alone, for heaps of several sizes: ``OBJECTS="400000 4000000" python -m bench.analyzer``.

Ratios count, not seconds: what is compared is measured in the same run on the same file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.bench import BYTES_OF_OBJECT, BYTES_OF_REFERENCE, MB, ROOT, bench_reader, machine, questions, row
from bench.measured import measure
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


# What an answer may cost, in times of what `read` costs; without a figure nothing is promised.
ANSWERS: dict[str, tuple[list[str], float | None]] = {
    "dominators, retained sizes": (["query", "select max(retained) from obj"], 2),
    "suspects, with everything": (["suspects", "--max-items", "0"], 3),
    "top": (["top"], None),
    "twins": (["twins"], None),
    "duplicates": (["duplicates"], 3),
    "waste": (["waste"], 3),
    "packages": (["packages"], None),
    "diff with itself": (["diff"], 3),
}


# What the dominator tree may take of memory at most, in bytes for each object, beside what reading takes.
BYTES_OF_TREE = 24
# In a larger heap everything is measured once, and two of them at a time are too much for the machine.
LARGE = 10_000_000


def bench_answers(dump: Path, objects: int, references: int) -> None:
    """Each answer from the dump itself, against reading it and nothing else; the best of two."""
    bound = objects * (BYTES_OF_OBJECT + BYTES_OF_TREE) + references * BYTES_OF_REFERENCE

    def cost(verb: str, *arguments: str | Path) -> tuple[float, int]:
        command = [binaries.HEAPSEE, verb, dump, *arguments, "--no-index"]
        costs = []
        for _ in range(1 if objects > LARGE else 2):
            before = time.perf_counter()
            peak = measure(command).peak
            costs.append((time.perf_counter() - before, peak))
        return min(costs)

    read, least = cost("summary")
    print("\nthe answers, beside the time to read the dump")
    row("read, and a summary", f"{read:.2f} s", f"{least / MB:,.0f} MB")
    for what, ((verb, *arguments), budget) in ANSWERS.items():
        dumps = [dump] if verb == "diff" else []
        if dumps and objects > LARGE:
            continue
        took, peak = cost(verb, *dumps, *arguments)
        own, most = took - read * (1 + len(dumps)), bound * (1 + len(dumps))
        promise = f", at most {budget:.0f} × is promised" if budget else ""
        memory = f"{peak / MB:,.0f} MB of at most {most / MB:,.0f}"
        row(f"  {what}", f"{own:.2f} s", f"{own / read:.1f} × the time to read{promise}; {memory}")


PLAIN = """
shell create table plain as select * from obj
shell create index plain_by_type on plain(type)
"""
HISTOGRAMS = {
    "count by type": "select count(*), type from {} group by type order by 1",
    "count and size by type": "select type, count(*), sum(size) from {} group by type",
}


def bench_histogram(dump: Path) -> None:
    """Counting by type, against the same rows in a plain SQLite table with an index: what memsee's databases were."""
    # In turn and the best of some: the first one reads its columns or pages, and whoever else is on the machine
    # is so for both.
    asked = [(turn, table, what) for turn in range(5) for table in ("obj", "plain") for what in HISTOGRAMS]
    lines = (f"{HISTOGRAMS[what].format(table)};\necho {turn} {table} {what}" for turn, table, what in asked)
    script = f"read {dump}\n{PLAIN}echo at start\n" + "\n".join(lines) + "\n"
    done = measure([binaries.HEAPSEE, "shell", "--strict"], script)
    before, best = "at start", dict[tuple[str, str], float]()
    for turn, table, what in asked:
        after = f"{turn} {table} {what}"
        seconds = done.seconds_between(before, after)
        best[table, what] = min(seconds, best.get((table, what), seconds))
        before = after
    for what in HISTOGRAMS:
        ours, plain = best["obj", what], best["plain", what]
        row(what, f"{ours:.2f} s", f"a plain table with an index on type {plain:.2f} s: {plain / ours:.1f} ×")


def main() -> None:
    """Measures at each size."""
    print(machine(), flush=True)
    for objects in map(int, os.environ.get("OBJECTS", "400000 4000000").split()):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build") as folder:
            dump = Path(folder) / "two-stores.dump"
            make_dump(objects, dump)
            counted, references = bench_reader(dump)
            bench_index(dump)
            # Beyond that, the plain table takes longer to make than all the rest together.
            if counted <= LARGE:
                bench_histogram(dump)
            bench_answers(dump, counted, references)


if __name__ == "__main__":
    main()
