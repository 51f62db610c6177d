"""The whole way, from a live server to the answer, in a minute or two.

A real gunicorn holds a heap in which a module store was loaded twice. It is kept under load, its fattest worker is
dumped, and the investigation that once took an afternoon is played on the file. ``OBJECTS`` sets the heap's size. All
that is made is in ``build/demo``; all processes are gone at the end, whatever happens.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from demo.screen import amount, bold, chapter, dim, good, indented, show, typed
from demo.stage import ROOT, DemoError, perform, relative, run_agent
from harness import binaries, dumps, proc
from harness.gunicorn import Gunicorn, Setting
from harness.load import Load, Report

FOLDER = ROOT / "build" / "demo"
SESSION = "stage-dump.db"
FIRST_HOLDER = "xmodule.modulestore.django"
SECOND_HOLDER = "open_ended_grading.utils"
SECONDS_OF_LOAD_AROUND = 3.0


def collect(objects: int) -> tuple[Path, Report, dict[str, Any]]:
    """Starts the server, keeps it busy, dumps a worker. Returns the dump, what the clients saw, the sidecar."""
    chapter(1, "A server that uses more memory than it should")
    setting = Setting("gthread", preload=True, arm="post_fork", objects=objects)
    started = time.monotonic()
    with Gunicorn(FOLDER, setting) as server:
        workers = server.workers()
        took = time.monotonic() - started
        pids = " and ".join(map(str, workers))
        show(f"   gunicorn {server.master} with workers {pids}, on CPython {sys.version.split()[0]}:")
        show(f"   about {objects:,} objects, {amount(proc.rss(workers[0]))} each, up in {took:.0f} s")
        show(f"   armed by one line of its configuration: {bold('from heapsee.gunicorn import post_fork')}")
        chapter(2, "Which workers are there?")
        run_agent("list", "--name", "harness.app")
        chapter(3, "Dump the fattest, while requests keep coming")
        load = Load(server.port).start()
        try:
            time.sleep(SECONDS_OF_LOAD_AROUND)
            stored = Path(run_agent("dump", "--pidfile", server.pidfile, "--store", FOLDER / "store", "--no-compress"))
            time.sleep(SECONDS_OF_LOAD_AROUND)
        finally:
            report = load.stop()
        if server.workers() != workers:
            raise DemoError(f"the workers were {workers} and are {server.workers()}")
    meta: dict[str, Any] = json.loads(dumps.sidecar_of(stored).read_text())
    return stored, report, meta


def tell_what_it_cost(report: Report, meta: dict[str, Any]) -> None:
    """What the clients and the worker noticed of the dump."""
    chapter(4, "What did it cost the users?")
    timings = meta["timings"]
    counts = meta["counts"]
    seconds = timings["walk_ns"] / 1e9
    show(f"   requests served   {report.served:,}")
    show(f"   requests failed   {good('0') if not report.failures else bold(str(len(report.failures)))}")
    show(
        f"   longest request   {max(report.latencies) * 1000:.1f} ms   (median {report.percentile(0.5) * 1000:.1f} ms)"
    )
    show(f"   longest pause     {timings['pause_ns'] / 1e6:.1f} ms   (the worker, for the snapshot)")
    show(f"   written           {counts['objects']:,} objects in {seconds:.1f} s, by a copy of the worker")
    for failure in report.failures[:5]:
        show(f"   {failure}")
    if report.failures:
        raise DemoError("requests failed")


def play(commands: list[str], *, show_from: int = 0, first: int = 8, last: int = 12) -> list[str]:
    """Plays commands in the shell, in the demo's folder, showing those from `show_from` on with their output."""
    outputs = binaries.shell(commands, cwd=FOLDER)
    for command, output in list(zip(commands, outputs))[show_from:]:
        typed("::> ", command)
        indented(output, first, last)
        show()
    return outputs


def addresses(grid: str) -> list[int]:
    """The addresses of a grid's rows."""
    return [int(address) for address in re.findall(r"^#\d+\.\d+ +(\d+) ", grid, re.MULTILINE)]


def investigate(stored: Path) -> None:
    """The story's investigation, command by command."""
    chapter(5, "What is in it?")
    copy = FOLDER / "stage-dump.meliae"
    copy.symlink_to(stored)
    dumps.sidecar_of(copy).symlink_to(dumps.sidecar_of(stored))
    typed("$ ", "heapsee shell")
    show()
    opening = [
        f"create {SESSION}",
        f"read {copy.name}",
        "select count(*), type from obj group by type order by 1;",
        """path from "address in 0&" to "type = 'KvsFieldData'\"""",
        "select * from obj where type = 'XMLModuleStore'",
    ]
    stores = addresses(play(opening)[-1])
    if len(stores) != 2:
        raise DemoError(f"there are {len(stores)} XMLModuleStores")
    show(bold("   Two XMLModuleStores, where there should be one. What holds each of them?"))
    chapter(6, "Why are there two?")
    paths = [f'path from "address = {store}" to "address in 0&" reversed' for store in stores]
    _, *answers = play([f"open {SESSION}", *paths], show_from=1, last=14)
    holders = {holder: store for store, grid in zip(stores, answers) for holder in who_holds(grid)}
    if set(holders) != {FIRST_HOLDER, SECOND_HOLDER}:
        raise DemoError(f"the paths lead through {sorted(holders)}")
    second = holders[SECOND_HOLDER]
    show(bold(f"   The second, {second}, is held by {SECOND_HOLDER}: a store made while the first was still loading."))
    chapter(7, "What would it free to drop it?")
    commands = [f"open {SESSION}", f"delete from ref where child = {second}", "gc"]
    conclude(stored, play(commands, show_from=1)[-1])


def who_holds(grid: str) -> list[str]:
    """Which of the two modules a path leads through; the grid cuts long names."""
    cut = {holder: holder[:18] for holder in (FIRST_HOLDER, SECOND_HOLDER)}
    return [holder for holder, start in cut.items() if start in grid]


def conclude(stored: Path, collected: str) -> None:
    """The answer, and what to type next."""
    sizes = [int(size) for size in re.findall(r"(\d+) \([^)]*\) total bytes", collected)]
    freed = re.findall(r"^Deleted (\d+) objects$", collected, re.MULTILINE)
    if len(sizes) != 2 or len(freed) != 1 or not int(freed[0]):
        raise DemoError("gc did not tell what it freed")
    show(bold("The answer"))
    show()
    saved = sizes[0] - sizes[1]
    way = f"{bold(SECOND_HOLDER)}.system → LmsModuleSystem → LibraryToolsService → MixedModuleStore"
    show("   two stores        2 XMLModuleStore, one of them by mistake")
    show(f"   held by           {way}")
    show(f"   dropping it frees {good(f'{saved:,} bytes')} ({amount(saved)}), {int(freed[0]):,} objects")
    show(f"   of                {sizes[0]:,} bytes ({amount(sizes[0])})")
    show()
    show(bold("What to type next"))
    show()
    binary = relative(binaries.HEAPSEE)
    show(f"   {binary} summary {relative(stored)}")
    show(f"   {binary} shell                    {dim('then: read ' + relative(stored))}")
    show(f"   cd {relative(FOLDER)} && ../../{binary} shell {SESSION}   {dim('goes on where the demo has ended')}")
    show(f"   OBJECTS=4000000 make demo                       {dim('the size of the real one')}")
    show()


def tell() -> None:
    """The story."""
    stored, report, meta = collect(int(os.environ.get("OBJECTS", "300000")))
    tell_what_it_cost(report, meta)
    investigate(stored)


if __name__ == "__main__":
    sys.exit(perform(FOLDER, tell))
