"""Leaks as they are met in practice: `heapsee suspects` names the culprit without a hint, and nobody without a leak.

What the reports say is held against their JSON Schemas, and what a cut is said to free against the shell's own ``gc``.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from harness import binaries
from harness.gunicorn import Gunicorn, Setting
from leaks.checks import ask, check_named
from leaks.culprit import Culprit
from leaks.held_together import HELD

# The twelve that are behind a server.
LEAKS = [
    "arrays",
    "cached_method",
    "class_registry",
    "dead_threads",
    "dict_cache",
    "exceptions",
    "identity_map",
    "listeners",
    "log_handlers",
    "module_list",
    "query_log",
    "task_set",
]
# What the walk down the dominator tree does not find by itself, or an expression does not name by itself.
MORE_LEAKS = ["comments", "function_attribute", "templates"]
REQUESTS_OF_ONE = 250


def culprit_of(name: str) -> Culprit:
    culprit: Culprit = importlib.import_module(f"leaks.{name}").CULPRIT
    return culprit


def check_agreement(dump: Path, suspect: dict[str, Any]) -> None:
    """The dominator tree, the reference to cut and a collection in the shell agree on what it keeps."""
    address = suspect["address"]
    text = binaries.run(binaries.HEAPSEE, "suspects", dump).check().out
    assert suspect["title"] in text

    retained = ask("tree", dump, str(address), "--depth", "1")["top"]
    assert retained["retained_bytes"] == suspect["retained_bytes"] or suspect["kind"] == "shared"
    cut = ask("cut", dump, f"address = {address}")
    if cut["all"] is not None:
        drops = [ref["sql"] for ref in cut["all"]["refs"]]
        *_, collected = binaries.shell([f"read {dump}", *drops, "gc"])
        deleted = re.search(r"^Deleted (\d+) objects$", collected, re.M)
        assert deleted
        assert int(deleted[1]) == cut["all"]["frees"]["objects"] >= retained["objects"]


@pytest.mark.parametrize("name", LEAKS)
def test_the_culprit_is_named_on_a_server(name: str, tmp_path: Path) -> None:
    """Requests over HTTP make the leak, the agent dumps the worker."""
    requests = importlib.import_module(f"leaks.{name}").REQUESTS
    setting = Setting(workers=1, app="leaks.site:application", env={"LEAK": name})
    with Gunicorn(tmp_path, setting) as server:
        for first in range(0, requests, REQUESTS_OF_ONE):
            worker = server.get(f"/leak/{first}/{min(first + REQUESTS_OF_ONE, requests)}")["pid"]
        dump = binaries.agent_dump(worker, tmp_path / "store")
    check_agreement(dump, check_named(dump, culprit_of(name)))


@pytest.mark.parametrize("name", MORE_LEAKS)
def test_the_culprit_is_named(name: str, tmp_path: Path) -> None:
    dump = tmp_path / "leak.dump"
    binaries.run_module("leaks.run", name, dump)
    check_agreement(dump, check_named(dump, culprit_of(name)))


def test_what_no_root_leads_to(tmp_path: Path) -> None:
    dump = tmp_path / "leak.dump"
    binaries.run_module("leaks.run", "uncollected", dump)
    suspect = ask("suspects", dump)["suspects"][0]
    assert suspect["kind"] == "unreached"
    assert (suspect["accumulates"]["type"], suspect["accumulates"]["count"]) == ("Request", 5000)
    assert suspect["title"].startswith("5,000 Request objects")
    text = binaries.run(binaries.HEAPSEE, "suspects", dump).check().out
    assert "the collector has not met yet" in text


def test_what_several_hold_together(tmp_path: Path) -> None:
    """All holders are named, and the command that is proposed frees what was said; dropping one of them does not."""
    dump = tmp_path / "leak.dump"
    binaries.run_module("leaks.run", "held_together", dump)
    suspects = ask("suspects", dump)["suspects"]
    for holds, registries in HELD.items():
        holders = {f"sys.modules['leaks.held_together'].{registry}" for registry in registries}
        [suspect] = [each for each in suspects if holders & {each["path"], *each["also_held_by"]}]
        assert {suspect["path"], *suspect["also_held_by"]} == holders
        assert suspect["kind"] == "shared"
        assert (suspect["accumulates"]["type"], suspect["accumulates"]["count"]) == (holds, 20_000)
        [drop] = [command for command in suspect["next"] if " gc " in command]
        freed = ask("gc", dump, "--drop", drop.split("'")[1])["freed"]
        assert freed == {"objects": suspect["objects"], "bytes": suspect["retained_bytes"]}
        alone = ask("gc", dump, "--drop", f"address = {suspect['address']}")["freed"]
        assert alone["objects"] <= suspect["objects"] - suspect["accumulates"]["count"]


def test_what_threads_hold_that_wait(tmp_path: Path) -> None:
    dump = tmp_path / "leak.dump"
    binaries.run_module("leaks.run", "waiting_threads", dump)
    suspect = ask("suspects", dump)["suspects"][0]
    assert suspect["kind"] == "threads"
    assert suspect["title"].startswith("64 threads in watch() at waiting_threads.py:")
    assert suspect["accumulates"]["inside"] == {"type": "list", "count": 64}
    assert binaries.run(binaries.HEAPSEE, "threads", dump).check().out


def test_what_c_code_holds(tmp_path: Path) -> None:
    """Where the module does not say what it holds, what is held has no place, but is there."""
    dump = tmp_path / "leak.dump"
    binaries.run_module("leaks.run", "exit_callbacks", dump)
    suspect = ask("suspects", dump)["suspects"][0]
    # From CPython 3.14 on the callbacks of atexit are in a list, which only the interpreter refers to.
    by_c = suspect["type"] == "list" and "C code does, as it does the callbacks of atexit" in suspect["explanation"]
    assert suspect["path"] == "sys.modules['atexit']" or suspect["kind"] == "unreached" or by_c
    assert suspect["accumulates"]["type"] in {"tuple", "list"}
    assert suspect["accumulates"]["count"] >= 6000


@pytest.mark.parametrize("name", ["plain", "pandas", "django"])
def test_nobody_is_accused_where_nothing_leaks(name: str, tmp_path: Path) -> None:
    dump = tmp_path / "healthy.dump"
    if name == "django":
        binaries.run_module("oracle.django_heap", dump)
    else:
        binaries.run_module("leaks.healthy", name, dump)
    assert ask("suspects", dump)["suspects"] == []
    done = binaries.run(binaries.HEAPSEE, "suspects", dump).check()
    assert done.out.startswith("Nothing stands out.")
    assert "modules, classes, functions and code" in done.out


def test_several_dumps_say_since_when(tmp_path: Path) -> None:
    dumps = [tmp_path / f"{times}.dump" for times in (2000, 5000, 9000)]
    for dump in dumps:
        binaries.run_module("leaks.run", "dict_cache", dump, dump.stem)
    suspect = ask("suspects", dumps[0], *dumps[1:])["suspects"][0]
    assert [past["count"] for past in suspect["history"]] == [2000, 5000, 9000]
    assert "2,000 objects" in suspect["explanation"]
    assert suspect["owner"]["file"].endswith("/leaks/dict_cache.py")
    first, *_, last = suspect["history"]
    assert suspect["grown"]["bytes"] == last["retained_bytes"] - first["retained_bytes"]
    assert suspect["grown"]["bytes_per_hour"] > 0


def test_what_grows_comes_before_what_is_large(tmp_path: Path) -> None:
    dumps = [tmp_path / f"{times}.dump" for times in (500, 1500)]
    for dump in dumps:
        binaries.run_module("leaks.run", "catalogue", dump, dump.stem)
    alone = ask("suspects", dumps[1])["suspects"]
    assert [each["path"] for each in alone] == ["sys.modules['leaks.catalogue'].products"]
    small, large = ask("suspects", *dumps)["suspects"]
    assert small["path"] == culprit_of("catalogue").path
    assert [past["count"] for past in small["history"]] == [500, 1500]
    assert large["path"] == alone[0]["path"]
    assert "it does not grow" in large["explanation"]


def test_the_biggest(tmp_path: Path) -> None:
    dump = tmp_path / "leak.dump"
    binaries.run_module("leaks.run", "dict_cache", dump)
    first = ask("top", dump)["items"][0]
    assert (first["path"], first["leads_to"]["path"]) == (
        "sys.modules['leaks.dict_cache']",
        "sys.modules['leaks.dict_cache']._sessions",
    )
    assert ask("top", dump, "--by", "module", "--max-items", "1")["items"][0]["path"] == "leaks.dict_cache"
    sessions = [
        row for row in ask("top", dump, "--by", "type", "--max-items", "0")["items"] if row["type"] == "Session"
    ]
    assert [row["instances"] for row in sessions] == [5000]
    tree = ask("tree", dump, "--depth", "4", "--max-items", "1")
    assert tree["below"]["branches"][0]["name"] == "leaks.dict_cache"
    for verb in ("top", "tree"):
        assert binaries.run(binaries.HEAPSEE, verb, dump).check().out
