"""Growth, waste, threads and packages against what CPython itself says of a process that is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import binaries
from oracle import growing

CACHE, LOG, CHAIN = "sys.modules['shop'].cache[*]", "sys.modules['shop'].log[*]", "sys.modules['shop'].last"


@dataclass(frozen=True)
class Grown:
    """The dumps of `oracle.growing`, and what `sys.getsizeof` says of its waste."""

    folder: Path
    sizes: dict[str, int]
    answers: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def ask(self, verb: str, *names: str) -> Any:
        """A verb's JSON, all of it; asked once."""
        key = (verb, *names)
        if key not in self.answers:
            dumps = [self.folder / f"{name}.dump" for name in names]
            done = binaries.run(binaries.HEAPSEE, verb, *dumps, "--json", "--max-items", "0").check()
            self.answers[key] = json.loads(done.out)
        return self.answers[key]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    folder = tmp_path_factory.mktemp("growing")
    return Grown(folder, json.loads(binaries.run_module("oracle.growing", folder).out))


def place(rows: list[dict[str, Any]], path: str, kind: str) -> dict[str, Any]:
    """The row of a place."""
    found = [row for row in rows if row["path"].startswith(path) and row["type"] == kind]
    assert len(found) == 1, (path, [(row["path"], row["type"]) for row in rows[:20]])
    return found[0]


def test_growth_of_one_process(grown: Grown) -> None:
    found = grown.ask("diff", "1", "2", "3")
    assert found["relation"] == "same_process"
    cache = place(found["places"], CACHE, "Session")
    steps = [growing.SESSIONS * step for step in (1, 2, 3)]
    assert (cache["with_all_below"], cache["times"]) == (True, steps)
    assert cache["trend"]["r_squared"] > 0.5
    assert place(found["places"], LOG, "tuple")["times"] == [growing.REQUESTS * step for step in (1, 2, 3)]
    sessions = next(row for row in found["types"] if row["type"] == "Session")
    assert sessions["objects"] == steps


def test_all_rows_are_the_whole_difference(grown: Grown) -> None:
    found = grown.ask("diff", "1", "2")
    for rows in (found["places"], found["types"]):
        for what in ("objects", "bytes"):
            assert sum(row["grown"][what] for row in rows) == found["total"]["grown"][what]


def test_what_stayed_and_what_was_but_a_burst(grown: Grown) -> None:
    stayed = grown.ask("diff", "1", "2", "3")["stayed"]["places"]
    assert place(stayed, CACHE, "Session")["objects"] == growing.SESSIONS
    links = sum(row["objects"] for row in stayed if row["type"] == "Link")
    assert links == growing.LINKS
    # Hardly any of the burst: an address may have been given to another `object`.
    assert sum(row["objects"] for row in stayed if row["type"] == "object") < growing.BURST // 100


def test_another_worker_shares_what_its_parent_had(grown: Grown) -> None:
    found = grown.ask("diff", "3", "worker")
    assert found["relation"] == "same_service"
    assert found["common"]["objects"] > 0.95 * found["dumps"][0]["objects"]
    assert place(found["places"], CACHE, "Session")["times"] == [3 * growing.SESSIONS, 4 * growing.SESSIONS]


def waste(grown: Grown, kind: str, path: str) -> int:
    """Bytes of a kind of waste at a place."""
    kinds = {each["kind"]: each for each in grown.ask("waste", "waste")["kinds"]}
    bytes_there: list[int] = [row["bytes"] for row in kinds[kind]["places"] if row["path"] == path]
    return sum(bytes_there)


def test_waste_is_what_copies_would_save(grown: Grown) -> None:
    assert waste(grown, "over_allocated", "sys.modules['shop'].thinned") == grown.sizes["set"]
    # A copy of a dict may take a table larger than it needs.
    emptied = waste(grown, "over_allocated", "sys.modules['shop'].emptied")
    assert grown.sizes["dict"] <= emptied <= grown.sizes["dict"] + 1024
    assert waste(grown, "empty_containers", "sys.modules['shop'].empty[*]") == grown.sizes["empty"]
    assert waste(grown, "boxed_numbers", "sys.modules['shop'].numbers") == grown.sizes["numbers"]
    groups = grown.ask("duplicates", "waste")["groups"]
    same = next(group for group in groups if group["value"] == "'the same text'")
    assert (same["count_there"], same["path"]) == (500, "sys.modules['shop'].same[*]")
    assert same["spare_bytes"] >= grown.sizes["same"]


def test_threads_and_tasks_by_request(grown: Grown) -> None:
    found = grown.ask("threads", "waste")
    frames = [(frame, thread) for thread in found["threads"] for frame in thread["frames"]]
    frame, worker = next(pair for pair in frames if pair[0]["function"] == "application")
    assert worker["request"] == "GET /report?id=7"
    assert worker["alone"]["objects"] > 2000
    assert frame["alone"]["objects"] > 2000
    assert frame["largest"][0]["type"] == "list"
    requests = {task["request"]: task["retained"]["objects"] for task in found["tasks"]}
    assert requests["POST /api/0"] > 1000
    assert requests["POST /api/1"] > 1000


def test_packages_add_up(grown: Grown) -> None:
    found = grown.ask("packages", "3")
    packages = {package["name"]: package for package in found["packages"]}
    total = sum(package["shallow"]["bytes"] for package in packages.values()) + found["nobody"]["bytes"]
    assert total == found["total"]["bytes"]
    assert packages["shop"]["retained"]["objects"] > 3 * (growing.SESSIONS + growing.REQUESTS + growing.LINKS)
    assert packages["heapsee"]["kind"] == "distribution"
    assert packages["standard library"]["kind"] == "standard_library"


def test_memory_is_accounted_for(grown: Grown) -> None:
    found = grown.ask("reconcile", "waste")
    assert sum(part["bytes"] for part in found["parts"]) == found["rss"]
    assert {"objects", "other", "files"} <= {part["part"] for part in found["parts"]}
