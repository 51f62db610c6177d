"""What the kernel says about a process: its descriptors, threads, children and memory. Linux only, as heapsee is."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

OUR_THREADS = ("heapsee", "heapsee-gil")
"""The watcher, and the one that asks for the GIL."""


def status(pid: int) -> dict[str, str]:
    """``/proc/PID/status``, field by field."""
    return status_in(Path(f"/proc/{pid}/status"))


def status_in(file: Path) -> dict[str, str]:
    """The same, of a process that has its number and its file elsewhere."""
    lines = file.read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def is_running(pid: int) -> bool:
    """Whether the process is there and is not a zombie."""
    try:
        return not status(pid)["State"].startswith("Z")
    except OSError:
        return False


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot: with the pid, its identity."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def children(pid: int) -> list[int]:
    """The pids of all children, zombies included, of whichever thread."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.update(int(child) for child in (task / "children").read_text().split())
        except OSError:
            continue
    return sorted(found)


def zombies(pid: int) -> list[int]:
    """Which of the children are dead and have not been waited for."""
    return [child for child in children(pid) if not is_running(child)]


def descriptors(pid: int) -> dict[int, str]:
    """Descriptor → what it is open on. A socket's or pipe's number is left out: it says nothing."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        found[int(link.name)] = target.partition(":[")[0]
    return found


def threads(pid: int) -> dict[int, str]:
    """Kernel thread id → name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(task.name)] = (task / "comm").read_text().strip()
        except OSError:
            continue
    return found


def catches(pid: int, signal: int) -> bool:
    """Whether the process has a handler for this signal."""
    return bool(int(status(pid)["SigCgt"], 16) >> (signal - 1) & 1)


def rss(pid: int) -> int:
    """Resident memory in bytes."""
    return int(status(pid)["VmRSS"].split()[0]) * 1024


def private_dirty(pid: int) -> int:
    """Memory in bytes that the process has written and shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty:"))


@dataclass(frozen=True)
class Footprint:
    """What a process must not have more of after a dump than before."""

    start_time: int
    descriptors: Counter[str]
    threads: Counter[str]
    children: Counter[int]

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """The footprint of a live process."""
        return cls(
            start_time(pid),
            Counter(descriptors(pid).values()),
            Counter(threads(pid).values()),
            Counter(children(pid)),
        )

    def is_within(self, before: Footprint) -> bool:
        """Whether it is the same process and has nothing that it did not have: a connection may have ended."""
        return (
            self.start_time == before.start_time
            and not self.descriptors - before.descriptors
            and not self.threads - before.threads
            and not self.children - before.children
        )


def is_at_rest(pid: int) -> bool:
    """Whether an armed worker has its watcher, under its name, and nothing left of a dump."""
    ours = [name for name in threads(pid).values() if name in OUR_THREADS]
    return not is_dumping(pid) and not children(pid) and ours == ["heapsee"]


def is_dumping(pid: int) -> bool:
    """Whether the worker's control block says that a dump is under way: a signal now would be merged into it."""
    block = control(pid)
    return block is not None and block.started != block.finished


@dataclass(frozen=True)
class Control:
    """What a worker's control block counts."""

    armed: bool
    published: bool
    """So the last dump has ended."""
    started: int
    finished: int
    signals: int
    merged: int


def control(pid: int) -> Control | None:
    """The control block of an armed worker, as it is now. Offsets are those of ``ControlPage``."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if not str(link.readlink()).startswith("/memfd:heapsee"):
                continue
            page = link.read_bytes()
        except OSError:
            continue
        owner, _, _, armed, _, outcome, *counts = struct.unpack_from("=IQIIII4Q", page, 12)
        if owner == pid:
            return Control(armed == 1, outcome == 1, *counts)
    return None
