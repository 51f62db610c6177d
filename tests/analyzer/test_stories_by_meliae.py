"""Both stories on dumps that are not ours: meliae's own, from CPython 3.8, and one as meliae wrote them on Python 2."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from harness import binaries

TELL = Path(__file__).with_name("tell_with_meliae.py")
ROW = re.compile(r"^#\d+\.\d+ +(\d+) (\S+)", re.M)
LINKS = 2000


def by_meliae(story: str, size: int, path: Path) -> int:
    """Has meliae dump a story's heap; what its heart alone holds."""
    python = Path(os.environ["HEAPSEE_MELIAE_PYTHON"])
    done = binaries.run(python, TELL, story, str(size), path, env={"PYTHONPATH": str(binaries.TESTS)}, timeout=600)
    objects: int = json.loads(done.check().out)["objects"]
    return objects


def number(pattern: str, text: str) -> int:
    """The one number that the pattern finds."""
    found = re.findall(pattern, text, re.M)
    assert len(found) == 1, text
    return int(found[0])


@pytest.mark.meliae
def test_two_stores(tmp_path: Path) -> None:
    alone = by_meliae("two-stores", 20_000, tmp_path / "x.dump")
    opening = ["read x.dump", "select address, type from obj where type = 'XMLModuleStore'"]
    stores = [int(address) for address, _ in ROW.findall(binaries.shell(opening, cwd=tmp_path)[1])]
    assert len(stores) == 2
    paths = [f'path from "address = {store}" to "address in 0&" reversed' for store in stores]
    answers = binaries.shell(["read x.dump", *paths], cwd=tmp_path)[1:]
    second = next(store for store, answer in zip(stores, answers) if "LibraryToolsService" in answer)
    cut = ["read x.dump", "gc", f"delete from ref where child = {second}", "gc"]
    _, first, deleted, freed = binaries.shell(cut, cwd=tmp_path)
    assert number(r"^Deleted (\d+) objects$", first) == 0
    assert number(r"^(\d+) rows deleted$", deleted) == 1
    # meliae leaves out the keys of dicts whose keys are all strings, and what they alone hold with them.
    assert alone * 0.5 < number(r"^Deleted (\d+) objects$", freed) <= alone * 1.01


@pytest.mark.meliae
def test_the_chain(tmp_path: Path) -> None:
    by_meliae("chain", LINKS, tmp_path / "x.dump")
    has_next = "select parent from ref, obj o where child = o.address and o.type = 'LmsModuleSystem'"
    end = f"type = 'CombinedSystem' and address not in ({has_next})"
    last = binaries.shell(["read x.dump", f"select address, type from obj where {end}"], cwd=tmp_path)[1]
    ((address, _),) = ROW.findall(last)
    _, path = binaries.shell(["read x.dump", f'path from "address in 0&" to "address = {address}"'], cwd=tmp_path)
    assert sum(kind == "CombinedSystem" for _, kind in ROW.findall(path)) == LINKS


def python2_chain(links: int, path: Path) -> None:
    """A chain as Python 2 had it: instances with dicts that list their keys, `unicode`, `long`, no slots' names."""
    lines = ["["]

    def add(address: int, kind: str, more: str, refs: list[int]) -> None:
        lines.append(f'{{"address": {address}, "type": "{kind}", "size": 64, {more}"refs": {refs}}},')

    add(16, "module", '"name": "lms.djangoapps.instructor_task", ', [32])
    add(32, "dict", '"len": 1, ', [48, 1000])
    add(48, "str", '"len": 7, "value": "runtime", ', [])
    add(64, "unicode", '"len": 2, "value": "\\u00e9\\u20ac", ', [])
    add(80, "long", '"value": 36893488147419103232, ', [])
    for link in range(links):
        base = 1000 * (link + 1)
        after = [base + 1000] if link + 1 < links else []
        add(base, "LmsModuleSystem", "", [base + 16])
        add(base + 16, "dict", '"len": 2, ', [48, base + 32, 64, 80])
        add(base + 32, "CombinedSystem", "", after)
    path.write_text("\n".join([*lines, "]"]) + "\n")


def test_a_dump_of_python_2(tmp_path: Path) -> None:
    python2_chain(LINKS, tmp_path / "x.dump")
    last = 1000 * LINKS + 32
    commands = [
        "read x.dump",
        "select type, value, repr from obj where address in (64, 80) --csv",
        f'path from "address in 0&" to "address = {last}"',
        "delete from ref where child = 2000",
        "gc",
    ]
    read, odd, path, _, freed = binaries.shell(commands, cwd=tmp_path)
    assert f"{5 + 3 * LINKS} (" in read
    assert odd.splitlines()[1:] == ["unicode,é€,u'é€'", "long,36893488147419103232,long"]
    assert [kind for _, kind in ROW.findall(path)].count("CombinedSystem") == LINKS
    assert f"×{LINKS - 1}" in path.splitlines()[-1] or f"×{LINKS - 2}" in path.splitlines()[-1]
    assert number(r"^Deleted (\d+) objects$", freed) == 3 * (LINKS - 1)
