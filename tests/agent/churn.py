"""A host on which workers come and go, an agent that is killed now and then, and a model of what it has to do.

The agent looks when it is told to, so the model knows how often it has seen whom, and no clock decides anything. What
the agent does is taken from its status, its store and its metrics, and held against the model at each look.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from harness import binaries, dumps, proc
from harness.daemon import Daemon
from harness.waiting import wait_until

POLLS = 2
BALLAST = 16
"""A fat worker has so many megabytes more than a thin one."""
RULE = """\
[[rule]]
name = "fat"
trigger = "rss"
above = "{above}MB"
polls = {polls}
select = {{ command = "*{directory}*" }}
"""

FAT = ("--megabytes", str(BALLAST))
KINDS = {
    "thin": (),
    "fat": FAT,
    "fat, and a copy of it writes": (*FAT, "--child"),
    "fat, and its dump fails": (*FAT, "--outcome", "failed"),
}
WEIGHTS = (3, 5, 2, 1)
MOST = 14
"""So many live at a time, at most."""
LOOKS = 7
"""So many looks one lives to see, on average."""


@dataclass(eq=False)
class Life:
    """One worker, and what the model knows of it."""

    pid: int
    start_time: int
    kind: str
    above: int = 0
    """Looks in a row that have found it fat."""
    wanted: bool = False
    orders: int = 0
    stored: int = 0
    dumps: set[str] = field(default_factory=set)
    """Their sidecars' names. One may be both in the store and yet where it was written."""
    doubtful: bool = False
    """It, or the agent, was killed in the middle of its dump: there may be one or not."""

    @property
    def may_be_ordered(self) -> bool:
        """One that has had its order gets another only if it has failed, and after a while."""
        return self.wanted or (self.orders > 0 and (self.doubtful or "fails" in self.kind))

    @property
    def is_certain(self) -> bool:
        """Whether there has to be a dump of it now."""
        return self.orders > 0 and not self.doubtful and "fails" not in self.kind


class Nursery:
    """The program that bears them: a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def __enter__(self) -> Nursery:
        command = [sys.executable, "-m", "agent.nursery", str(self.directory)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=binaries.TESTS, encoding="ascii"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def thin(self) -> int:
        """What a thin worker has resident, in bytes."""
        pid = self.ask("bear")
        rss = proc.rss(pid)
        self.ask("end", str(pid))
        return rss

    def ask(self, *words: str) -> int:
        """Asks for something, and waits until it is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*words, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@dataclass(frozen=True)
class Size:
    """What grows in an agent that leaks, when no worker of ours is alive.

    What it has for workers of others on this machine, which come and go as they like, is not counted.
    """

    resident: int
    descriptors: int
    threads: int
    state: int


@dataclass
class Host:
    """Workers, the agent, and what has to hold."""

    nursery: Nursery
    daemon: Daemon
    seed: int
    alive: list[Life] = field(default_factory=list)
    dead: list[Life] = field(default_factory=list)
    running: Life | None = None
    """Whose dump is being taken, as far as is known."""
    number: int = 0
    """Of the last order."""
    ended: Counter[str] = field(default_factory=Counter)
    """How orders ended, since the agent was started."""
    events: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @property
    def lives(self) -> list[Life]:
        """All that were ever born."""
        return self.dead + self.alive

    def live(self, lives: int, crashes: bool) -> None:
        """Goes on until so many more were born."""
        until = len(self.lives) + lives
        while len(self.lives) < until:
            self.change()
            self.look()
            self.disturb(crashes)
        while any(life.wanted for life in self.alive):
            self.finish()
            self.look()
        self.finish()

    def change(self) -> None:
        """Some die, some are born."""
        for life in [life for life in self.alive if self.random.random() < 1 / LOOKS]:
            self.kill(life)
        for _ in range(min(self.random.randrange(4), MOST - len(self.alive))):
            (kind,) = self.random.choices(list(KINDS), WEIGHTS)
            pid = self.nursery.ask("bear", *KINDS[kind])
            self.alive.append(Life(pid, proc.start_time(pid), kind))

    def kill(self, life: Life) -> None:
        """It dies; if in its dump, nobody knows what becomes of that."""
        life.doubtful |= life is self.running
        self.nursery.ask("end", str(life.pid))
        self.alive.remove(life)
        self.dead.append(life)

    def disturb(self, crashes: bool) -> None:
        """Waits for the dump that is being taken, or does not, or does something to the agent or to the worker."""
        chance = self.random.random()
        if chance < 0.05:
            self.daemon.reload()
            self.events["reloads"] += 1
        elif chance < 0.1 and self.running in self.alive:
            assert self.running is not None
            self.kill(self.running)
            self.events["workers killed in their dump"] += 1
        elif chance < 0.2:
            return
        elif chance < 0.35 and crashes:
            self.crash()
        self.finish()

    def crash(self) -> None:
        """The agent is killed, and started again: it looks once of its own accord."""
        self.events["agents killed"] += 1
        if self.running is not None:
            self.events["agents killed in a dump"] += 1
            self.running.doubtful = True
        self.daemon.crash()
        self.ended.clear()
        for life in self.alive:
            life.above = 0
        self.wait_for_first_look()

    def wait_for_first_look(self) -> None:
        """The one that is made at the start."""
        wait_until("the first look", lambda: self.metric("heapsee_agent_looks") > 0)
        self.seen(must=False)

    def look(self) -> None:
        """The agent looks. If nothing is in its way, it orders a dump of one that must have one."""
        is_free = self.running is None
        self.daemon.look()
        self.seen(must=is_free)

    def seen(self, must: bool) -> None:
        """What the look was, and what has become of it."""
        for life in self.alive:
            life.above += life.kind != "thin"
            life.wanted |= life.above >= POLLS and not life.orders
        wanted = [life for life in self.alive if life.wanted]
        status = self.daemon.ask("status")["data"]
        ordered = self.take_in(status)
        assert ordered or not (must and wanted), f"a trigger was missed: {wanted}, {status}"

    def take_in(self, status: dict[str, Any]) -> bool:
        """Learns from the status what was ordered and what has ended; whether there was a new order."""
        current = status["running"]
        past = {dump["number"]: dump for dump in status["dumps"]}
        newest = max([*past, *([current["number"]] if current else [])], default=self.number)
        is_new = newest > self.number
        assert newest <= self.number + 1, f"two orders in one look: {status}"
        if self.running is not None and (is_new or current is None):
            self.end(self.running, past.get(self.number))
        if is_new:
            pid = past[newest]["pid"] if newest in past else current["worker"]["pid"]
            self.order(pid, newest)
            if current is None:
                assert self.running is not None
                self.end(self.running, past[newest])
        return is_new

    def order(self, pid: int, number: int) -> None:
        """A dump was ordered: of one that lives, and for a reason."""
        (life,) = [life for life in self.alive if life.pid == pid]
        assert life.may_be_ordered, f"a dump for no reason: {life}"
        life.wanted = False
        life.orders += 1
        self.number, self.running = number, life

    def end(self, life: Life, past: dict[str, Any] | None) -> None:
        """Its dump is over; an agent that was started meanwhile does not say how."""
        self.running = None
        if past is None:
            assert life.doubtful, life
            return
        is_stored = past["error"] is None
        assert life.doubtful or is_stored == life.is_certain, f"{life}: {past}"
        self.ended["stored" if is_stored else "not"] += 1

    def finish(self) -> None:
        """Waits for the end of the dump that is being taken, if one is, and takes away what is in the store.

        After the agent was killed, its successor learns of that end when it looks.
        """
        if self.running is not None and self.running.doubtful:
            wait_until("the end of a dump", self.is_over_by_looking)
        wait_until("the end of a dump", self.is_over)
        self.take_away()

    def is_over_by_looking(self) -> bool:
        """Has it look until what was being taken is over."""
        before = self.running
        self.look()
        return self.running is not before

    def is_over(self) -> bool:
        """Whether nothing is being taken."""
        self.take_in(self.daemon.ask("status")["data"])
        return self.running is None

    def take_away(self) -> None:
        """Counts the dumps in the store, and moves them out of it: it is to stay as it is."""
        taken = self.daemon.config.parent / "taken"
        taken.mkdir(exist_ok=True)
        for manifest in self.daemon.store.glob("*/*/*/manifest.json"):
            told = json.loads(manifest.read_text())
            life = self.who(told["worker"])
            life.stored += 1
            life.dumps.add(told["sidecar"])
            manifest.parent.rename(taken / f"{life.pid}-{life.start_time}-{life.stored}")

    def who(self, process: dict[str, Any]) -> Life:
        """The one that a manifest or a sidecar is about."""
        identity = (process["pid"], process["start_time_ticks"])
        (life,) = [life for life in self.lives if (life.pid, life.start_time) == identity]
        return life

    def check(self) -> None:
        """What has to hold of all who have lived, and of what an agent that was killed has not collected."""
        for dump in self.nursery.directory.glob("*.dump"):
            sidecar = dumps.sidecar_of(dump)
            life = self.who(json.loads(sidecar.read_text())["process"])
            assert life.doubtful, f"a dump was not collected: {life}"
            life.dumps.add(sidecar.name)
        for life in self.lives:
            assert max(life.stored, len(life.dumps)) <= min(life.orders, 1), f"too many dumps: {life}"
            assert life.stored == 1 or not life.is_certain, f"no dump of {life}"

    def check_metrics(self) -> None:
        """The agent has counted what the model has."""
        assert self.metric("heapsee_agent_dumps", outcome="stored") == self.ended["stored"]
        assert self.metric("heapsee_agent_dumps") == sum(self.ended.values())
        assert self.metric("heapsee_agent_looks_failed") == 0

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a counter's values with these labels."""
        families = text_string_to_metric_families(self.daemon.metrics())
        samples = [sample for family in families if family.name == name for sample in family.samples]
        return sum(float(sample.value) for sample in samples if labels.items() <= sample.labels.items())

    def size(self) -> Size:
        """What the agent has when all workers are dead, and it knows."""
        for life in list(self.alive):
            self.kill(life)
        self.look()
        pid = self.daemon.pid
        assert proc.children(pid) == []
        others = self.daemon.ask("status")["data"]["workers"]
        state = json.loads((self.daemon.config.parent / "state" / "state.json").read_text())
        assert len(state["rules"].pop("past")) <= sum(others.values()), "the dead are remembered"
        # Those that are armed are held by two each.
        descriptors = len(proc.descriptors(pid)) - 2 * int(others["armed"])
        return Size(proc.rss(pid), descriptors, len(proc.threads(pid)), len(json.dumps(state)))

    def report(self) -> str:
        """In a line."""
        orders = sum(life.orders for life in self.lives)
        stored = sum(life.stored for life in self.lives)
        events = ", ".join(f"{count} {event}" for event, count in sorted(self.events.items()))
        return f"{len(self.lives)} lives, {orders} orders, {stored} dumps in the store, {events}"
