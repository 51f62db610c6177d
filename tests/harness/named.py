"""A process with one of each kind of object that evaluates heapsee's names: ``python -m harness.named FILE``.

It dumps itself and holds what heapsee calls its references against what Python says: every name that can stand in an
expression is evaluated on the very object that the dump has at that address. Prints, as JSON, how many names were
right, and those that were not.
"""

from __future__ import annotations

import collections
import csv
import functools
import gc
import importlib
import io
import json
import sys
from pathlib import Path
from types import BuiltinFunctionType, FrameType
from typing import Any, Callable, Optional, TypeVar

import heapsee
from harness import binaries

QUERY = "select parent, child, edge, type from ref, obj where address = parent and edge is not null"
MODULES = "argparse asyncio dataclasses decimal email.message enum http.client logging typing unittest xml.dom.minidom"
CUT = 100


class Plain:
    """Attributes only."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Inline:
    """Attributes that CPython from 3.11 on stores inline."""

    def __init__(self) -> None:
        self.one = ["one"]
        self.two = {"two": 2}


class Slotted:
    """Slots, one of them private, one of them not always set."""

    __slots__ = ("__hidden", "first", "later")

    def __init__(self, later: Any = None) -> None:
        self.first = ["first"]
        self.__hidden = {"hidden": 1}
        if later is not None:
            self.later = later


class SlottedDeeper(Slotted):
    """Slots upon slots, and a dict upon them."""

    __slots__ = ("__dict__", "deeper")

    def __init__(self, later: Any, **attributes: Any) -> None:
        super().__init__(later)
        self.deeper = ("deeper",)
        vars(self).update(attributes)


class SlottedInline(Slotted):
    """Slots below attributes."""

    def __init__(self, later: Any) -> None:
        super().__init__(later)
        self.attribute = ["attribute"]
        self.other = "other"


class Items(list[Any]):
    """A list with attributes."""


class Entries(dict[Any, Any]):
    """A dict with attributes."""


class Ordered(collections.OrderedDict[Any, Any]):
    """An ordered dict with attributes."""


class Pair(tuple[Any, ...]):
    """A tuple with attributes."""


Named = collections.namedtuple("Named", ["left", "right"])


class OddError(Exception):
    """With attributes of its own."""


def closure(*cells: Any) -> Any:
    """A function that closes over several things."""
    first, second = cells

    def inner(argument: Any = (first,), *, keyword: Any = (second,)) -> Any:
        return first, second, argument, keyword

    return inner


def with_attributes(made: Any) -> Any:
    """The same, with two attributes."""
    made.extra = ["extra"]
    made.more = {"more": 1}
    return made


def annotated() -> Any:
    """A function with annotations that are no types, and without attributes: both would be a dict behind its name."""

    def made(*_: Any) -> None: ...

    made.__annotations__ = {"first": Optional[int], "second": Callable[..., Any], "return": TypeVar("T")}
    return made


def failure() -> OddError:
    """An exception that was raised, with another one behind it."""
    try:
        try:
            raise KeyError(["cause"])
        except KeyError as error:
            raise OddError(["argument"], 2) from error
    except OddError as raised:
        found: OddError = with_attributes(raised)
        return found


def zoo() -> dict[Any, Any]:
    """One of each kind, and keys of each kind."""
    keys: dict[Any, list[str]] = {
        1: ["int"],
        -(2**70): ["big"],
        None: ["none"],
        False: ["bool"],
        b"by\x00tes": ["bytes"],
        "it's\n\\": ["odd"],
    }
    more: dict[Any, list[str]] = {
        "x" * (CUT + 1): ["cut"],
        "é日\U0001f600": ["wide"],
        ("tu", "ple"): ["tuple"],
        frozenset(): ["set"],
    }
    keys |= more
    materialised = Inline()
    return {
        "keys": keys,
        "plain": Plain(a=[1], b=[2]),
        "inline": Inline(),
        "materialised": (materialised, vars(materialised)),
        "slotted": [Slotted(), Slotted(["later"])],
        "deeper": [SlottedDeeper(["later"]), SlottedDeeper(["later"], a=[1], b=[2])],
        "slotted_inline": SlottedInline(["later"]),
        "items": with_attributes(Items([["a"], ["b"], ["c"]])),
        "entries": with_attributes(Entries(a=["a"], b=["b"])),
        "ordered": with_attributes(Ordered(a=["a"], b=["b"])),
        "plain_ordered": collections.OrderedDict(a=["a"], b=["b"]),
        "default": collections.defaultdict(list, {"a": ["a"], "b": ["b"]}),
        "counter": collections.Counter({"a": 10**6, "b": 10**7}),
        "pair": with_attributes(Pair([["a"], ["b"]])),
        "named": Named(["left"], ["right"]),
        "deque": collections.deque([["a"], ["b"], ["c"]]),
        "function": with_attributes(closure(["first"], ["second"])),
        "annotated": annotated(),
        "annotated_with_attributes": with_attributes(annotated()),
        "bare": with_attributes(lambda: None),
        "method": with_attributes(Plain()).__init__,
        "builtin": ["self"].append,
        "partial": functools.partial(Plain, key=["keyword"]),
        "failure": failure(),
        "weak": __import__("weakref").ref(materialised, closure([1], [2])),
        "generator": (each for each in [["a"], ["b"]]),
    }


def right(holder: Any, child: int, edge: str) -> bool:
    """Whether what Python finds under this name is the object at this address."""
    try:
        found = eval(f"holder{edge}", {"holder": holder})
    except Exception:
        return False
    return id(found) == child


def can_be_checked(holder: Any, edge: str) -> bool:
    """Names that are no expressions, keys that are cut, and what Python only shows a copy or a proxy of."""
    if edge[0] not in ".[" or "…" in edge or "<" in edge:
        return False
    if isinstance(holder, FrameType):
        return False
    if isinstance(holder, BuiltinFunctionType) and edge == ".__self__" and holder.__self__ is None:
        # A static method in C refers to its class, but Python does not show it.
        return False
    return not (isinstance(holder, type) and edge == ".__dict__")


def main(path: str) -> None:
    """Builds, dumps, asks, compares."""
    kept = [importlib.import_module(name) for name in MODULES.split()], zoo()
    gc.collect()
    alive = {id(each): each for each in gc.get_objects()}
    heapsee.dump_all_objects(path)
    answer = binaries.run(binaries.HEAPSEE, "query", path, QUERY, "--csv").check().out
    csv.field_size_limit(1 << 20)
    rows = list(csv.reader(io.StringIO(answer)))[1:]
    checked: collections.Counter[str] = collections.Counter()
    wrong = []
    changed = 0
    for parent, child, edge, type_name in rows:
        holder = alive.get(int(parent), kept)
        if holder is kept or holder is alive or not can_be_checked(holder, edge):
            continue
        if right(holder, int(child), edge):
            checked[type_name] += 1
        elif isinstance(holder, dict) and int(child) not in map(id, holder.values()):
            # Registries of weak references have changed since.
            changed += 1
        else:
            wrong.append([type_name, edge, repr(holder)[:CUT]])
    total = sum(len(gc.get_referents(each)) for each in alive.values())
    print(json.dumps({"checked": checked, "wrong": wrong, "changed": changed, "references": total}))


if __name__ == "__main__":
    main(sys.argv[1])
    Path(sys.argv[1]).unlink()
