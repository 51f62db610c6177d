"""Both of the story's investigations, played in the shell, on heaps whose numbers are known by construction."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import binaries, dumps
from harness.gunicorn import Gunicorn, Setting
from harness.load import Load

SHARED_TOOL = binaries.TESTS.parents[1] / "shared" / "tools" / "edx_heap.py"
STATS = re.compile(
    r"^(\d+) \([\d.]+\w?\) objects, (\d+) \([\d.]+\w?\) references, (\d+) \([\d.]+\w?\) total bytes$", re.M
)
ROW = re.compile(r"^#\d+\.\d+ +(\d+) (\S+)", re.M)
SECOND_HOLDER = "open_ended_grading.utils"
FIRST_HOLDER = "xmodule.modulestore.django"


@dataclass(frozen=True)
class Case:
    """A two-stores dump, and how many objects its second store alone holds if that is known by construction."""

    dump: Path
    second_store_objects: int | None


def made_by_holder(story: str, size: int, path: Path) -> Case:
    return Case(path, json.loads(binaries.run_module("harness.holder", story, str(size), path).out)["objects"])


def made_by_server(folder: Path) -> Case:
    with Gunicorn(folder, Setting("gthread", preload=True, arm="import", objects=60_000)) as server, Load(server.port):
        facts = server.get("/facts")
        dump = binaries.agent_dump(facts["pid"], folder / "store", "--no-compress")
    return Case(dump, facts["second_store_objects"])


def made_by_shared_tool(story: str, size: int, path: Path) -> Case:
    binaries.run(Path(sys.executable), SHARED_TOOL, story, str(size), "--dump", path, timeout=300).check()
    return Case(path, None)


SOURCES = ["holder", "server"] + (["shared tool"] if SHARED_TOOL.exists() else [])


@pytest.fixture(params=SOURCES, scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("two-stores")
    if request.param == "holder":
        return made_by_holder("two-stores", 60_000, folder / "stage-dump.meliae")
    if request.param == "server":
        return made_by_server(folder)
    return made_by_shared_tool("two-stores", 60_000, folder / "stage-dump.meliae")


def rows(output: str) -> list[tuple[int, str]]:
    """Address and type of every row of a grid whose columns start as those of ``select *``."""
    return [(int(address), kind) for address, kind in ROW.findall(output)]


def stats(output: str) -> list[tuple[int, int, int]]:
    """Objects, references and bytes of every statistics line."""
    return [(int(objects), int(refs), int(size)) for objects, refs, size in STATS.findall(output)]


def number(pattern: str, output: str) -> int:
    """The one number in the output that this pattern finds."""
    found = re.findall(pattern, output, re.M)
    assert len(found) == 1, f"{pattern}: {output}"
    return int(found[0])


def play(commands: Sequence[str], folder: Path) -> list[str]:
    return binaries.shell(commands, cwd=folder)


def module_address(dump: dumps.Dump, name: str) -> int:
    """Where the dump has the module of this name."""
    return next(address for address in dump.of_type("module") if dump.objects[address].get("name") == name)


def test_two_stores(case: Case, tmp_path: Path) -> None:
    dump = dumps.verify(case.dump)
    (tmp_path / "stage-dump.meliae").symlink_to(case.dump)
    opening = [
        "# Initialized a database to store the dump",
        "create stage-dump.db",
        "read stage-dump.meliae",
        "select count(*), type from obj group by type order by 1;",
        """path from "address in 0&" to "type = 'KvsFieldData'\"""",
        "select * from obj where type = 'XMLModuleStore'",
    ]
    *_, histogram, kvs_path, stores_grid = play(opening, tmp_path)

    counted = {kind: int(count) for count, kind in re.findall(r"^#\d+\.\d+ +(\d+) (\S+)", histogram, re.M)}
    assert sum(counted.values()) == len(dump.objects)
    assert counted["KvsFieldData"] == dump.types()["KvsFieldData"]
    assert rows(kvs_path)[-1][1] == "KvsFieldData"
    check_path(dump, [address for address, _ in rows(kvs_path)])
    stores = [address for address, _ in rows(stores_grid)]
    assert sorted(stores) == sorted(dump.of_type("XMLModuleStore"))
    assert len(stores) == 2

    second = find_second_store(dump, stores, tmp_path)
    drop_second_store(case, dump, second, tmp_path)


def find_second_store(dump: dumps.Dump, stores: list[int], folder: Path) -> int:
    """Asks for the path of each store to the root, as the story does; the one that leads through the wrong module."""
    commands = ["open stage-dump.db"]
    commands += [f'path from "address = {store}" to "address in 0&" reversed' for store in stores]
    commands += [f"select * from obj where address = {module_address(dump, SECOND_HOLDER)};"]
    _, *paths, module = play(commands, folder)
    assert SECOND_HOLDER in module
    holders = {}
    for store, output in zip(stores, paths):
        addresses = [address for address, _ in rows(output)]
        assert addresses[0] == store
        check_path(dump, addresses[::-1])
        for holder in (FIRST_HOLDER, SECOND_HOLDER):
            if module_address(dump, holder) in addresses:
                holders[holder] = store
    assert len(holders) == 2, f"the paths lead through {sorted(holders)} only"
    return holders[SECOND_HOLDER]


def check_path(dump: dumps.Dump, addresses: list[int]) -> None:
    """Each object of the path refers to the next one."""
    assert len(addresses) > 1
    for parent, child in zip(addresses, addresses[1:]):
        assert child in dump.objects[parent]["refs"], f"{parent} does not refer to {child}"


def drop_second_store(case: Case, dump: dumps.Dump, second: int, folder: Path) -> None:
    """`gc` straight after `read` frees nothing; after the cut it frees the second store and nothing else."""
    commands = ["read stage-dump.meliae", "gc", f"delete from ref where child = {second}", "gc", "stats"]
    read, first_gc, deletion, second_gc, last = play(commands, folder)
    assert number(r"^(\d+) \([\d.]+\w?\) objects and", read) == len(dump.objects)

    assert number(r"^Deleted (\d+) objects$", first_gc) == 0
    whole, still_whole = stats(first_gc)
    assert whole == still_whole
    assert whole[0] == len(dump.objects)
    assert whole[2] == dump.size()

    referrers = sum(item["refs"].count(second) for item in dump.objects.values())
    assert number(r"^(\d+) rows deleted$", deletion) == referrers

    alive = dump.reachable(held_otherwise(dump, second), without=second)
    gone = set(dump.objects) - alive
    assert number(r"^Deleted (\d+) objects$", second_gc) == len(gone)
    if case.second_store_objects is not None:
        assert len(gone) == case.second_store_objects
    size = dump.size() - sum(dump.objects[address]["size"] for address in gone)
    assert stats(second_gc)[-1][::2] == (len(alive), size)
    assert stats(last) == [stats(second_gc)[-1]]


def held_otherwise(dump: dumps.Dump, second: int) -> set[int]:
    """From where everything that survives the cut is reached: the roots, and what the second store does not lead to."""
    return dump.roots() | (set(dump.objects) - dump.reachable({second}))


@pytest.mark.parametrize("source", ["holder", *(["shared tool"] if SHARED_TOOL.exists() else [])])
def test_the_chain(source: str, tmp_path: Path) -> None:
    links = 5000
    path = tmp_path / "chain.meliae"
    case = (made_by_holder if source == "holder" else made_by_shared_tool)("chain", links, path)
    dump = dumps.verify(path)
    combined = set(dump.of_type("CombinedSystem"))
    systems = set(dump.of_type("LmsModuleSystem"))
    assert len(combined) == len(systems) == links

    def systems_behind(address: int) -> list[int]:
        """The runtime that a CombinedSystem points at: none at the end of the chain."""
        return [ref for ref in dump.objects[address]["refs"] if ref in systems]

    last = [address for address in combined if not systems_behind(address)]
    assert len(last) == 1
    commands = [
        "read chain.meliae",
        f'path from "address in 0&" to "address = {last[0]}"',
        f'path from "address = {last[0]}" to "address in 0&" reversed',
        "path from \"type = 'CombinedSystem'\" to \"type = 'XMLModuleStore'\"",
    ]
    _, forward, backward, nothing = play(commands, tmp_path)
    for addresses in ([a for a, _ in rows(forward)], [a for a, _ in rows(backward)][::-1]):
        check_path(dump, addresses)
        assert addresses[-1] == last[0]
        assert len(combined.intersection(addresses)) == links
    assert rows(nothing) == []

    head = systems - {ref for item in combined for ref in dump.objects[item]["refs"]}
    assert len(head) == 1
    first = head.pop()
    *_, deletion, collected = play(["read chain.meliae", f"delete from ref where child = {first}", "gc"], tmp_path)
    assert number(r"^(\d+) rows deleted$", deletion) == 1
    deleted = number(r"^Deleted (\d+) objects$", collected)
    alive = dump.reachable(held_otherwise(dump, first), without=first)
    assert deleted == len(dump.objects) - len(alive)
    if case.second_store_objects is not None:
        assert deleted == case.second_store_objects
    assert deleted >= 3 * links
