"""What the sidecar says of types, and how it stays small when there are many."""

import collections
import ctypes
import json
import subprocess
import sys

import pytest
import truth_zoo_classes as zoo
from conftest import DEADLINE
from truth_support import dump

SIZE_LIMIT = 1_000_000

MANY = """
import json, os, sys
classes = [type(f"Class{i}", (), {"__slots__": ("first", "second")}) for i in range(20_000)]
used = [classes[i] for i in range(0, 20_000, 1000)]
instances = [kind() for kind in used for _ in range(5)]
import heapsee
heapsee.dump_all_objects(sys.argv[1])
print(json.dumps([id(kind) for kind in used]))
"""


@pytest.fixture(scope="module")
def types():
    return dump().meta["types"]


@pytest.mark.parametrize(
    ("kind", "module", "slots"),
    [
        (zoo.Slotted, zoo.__name__, ["_Slotted__private", "first", "second"]),
        (zoo.SlottedChild, zoo.__name__, ["third"]),
        (zoo.SlottedWithDict, zoo.__name__, ["fourth"]),
        (zoo.SlottedWeakly, zoo.__name__, []),
        (zoo.Plain, zoo.__name__, []),
        (zoo.Meta, zoo.__name__, []),
        (collections.OrderedDict, "collections", []),
        (ctypes.Structure, "_ctypes", []),
        (int, "builtins", []),
    ],
)
def test_types(types, kind, module, slots):
    described = types[str(id(kind))]
    assert (described["module"], described["qualname"]) == (module, kind.__qualname__)
    assert described["base"] == id(kind.__base__)
    assert described.get("slots", []) == slots


def test_object_has_no_base(types):
    assert types[str(id(object))]["base"] is None


def test_slots_stand_in_the_order_of_the_names():
    """The names say which referent is which slot's: those that are set, of the class first, then of its bases."""
    item = zoo.attributed(zoo.SlottedChild("first", "second", "private"), third="third")
    found = dump()
    names = [name for kind in (zoo.SlottedChild, zoo.Slotted) for name in found.meta["types"][str(id(kind))]["slots"]]
    values = [id(getattr(item, name)) for name in names]
    assert found.of(item)["refs"][: len(values)] == values


def test_twenty_thousand_classes(tmp_path):
    """The sidecar stays small: the types with the most instances are in it, and how many are not."""
    path = tmp_path / "many.dump"
    done = subprocess.run(
        [sys.executable, "-c", MANY, path], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr
    sidecar = path.with_name(path.name + ".meta.json").read_bytes()
    assert len(sidecar) < SIZE_LIMIT
    meta = json.loads(sidecar)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    metatypes = {line["type"] for line in lines if str(line["address"]) in meta["types"]}
    type_lines = sum(line["type"] in metatypes for line in lines)
    assert meta["types_left_out"] > 5000
    assert type_lines == len(meta["types"]) + meta["types_left_out"]
    assert {str(address) for address in json.loads(done.stdout)} <= meta["types"].keys()


def test_resident_memory_is_told_by_kind():
    """The kernel counts the sum and its parts at slightly different moments."""
    memory = dump().meta["memory"]
    parts = memory["rss_anonymous"] + memory["rss_file"] + memory["rss_shared"]
    assert memory["rss_anonymous"] > 1_000_000
    assert abs(parts - memory["rss"]) < memory["rss"] / 10
    assert memory["swap"] >= 0
