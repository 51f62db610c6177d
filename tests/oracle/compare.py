"""Dumps a heap from inside and compares the file with the objects themselves, one by one.

``python -m oracle.compare HEAP FILE`` (HEAP: one of `HEAPS`) prints, as JSON, how many objects were compared and every
difference.
"""

from __future__ import annotations

import gc
import json
import sys
import types
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional, cast

import heapsee
from harness import dumps
from oracle import app_heap, django_heap, extension_heap, reference


def closure(start: list[Any]) -> dict[int, Any]:
    """Every object that can be reached from these, by address. Holds them all, so none can go meanwhile."""
    held = {id(item): item for item in start}
    pending = list(start)
    while pending:
        for neighbour in reference.neighbours(pending.pop()):
            if id(neighbour) not in held and neighbour is not held and neighbour is not pending:
                held[id(neighbour)] = neighbour
                pending.append(neighbour)
    return held


def is_comparable(item: object) -> bool:
    """Whether the reference can tell what this object refers to.

    It cannot of running frames, which go on, nor of static types, whose own traverse must not be called from outside.
    """
    # By their types: a proxy says that it is an instance of what it stands for.
    is_static_type = issubclass(type(item), type) and not cast(type, item).__flags__ & reference.HEAP_TYPE
    return not is_static_type and type(item) is not types.FrameType


Expected = tuple[str, int, Optional[bytes]]
"""Type, size, and referents, packed."""


def packed(addresses: Iterable[int]) -> bytes:
    """Addresses in an order of their own, so that two of these can be compared."""
    return array("Q", sorted(addresses)).tobytes()


def unpacked(packed_addresses: bytes) -> Counter[int]:
    """The addresses again."""
    return Counter(array("Q", packed_addresses))


def expectation(item: object) -> Expected:
    """What the line of an object must say."""
    refs = packed(reference.referents(item)) if is_comparable(item) else None
    return reference.type_name(type(item)), reference.size(item), refs


def hashes(items: Iterable[object]) -> array[int]:
    """The hash of each expectation. They take no objects of the heap, and so no lines of the dump."""
    return array("q", (hash(expectation(item)) for item in items))


def difference(line: dict[str, Any], expected: Expected, item: object) -> dict[str, Any]:
    """In which ways a line differs from what is expected of its object; empty if in none."""
    kind, size, refs = expected
    found: dict[str, Any] = {}
    if line["type"] != kind:
        found["type"] = [line["type"], kind]
    if line["size"] != size and not reference.has_python_sizeof(item):
        found["size"] = [line["size"], size]
    if refs is not None and packed(line["refs"]) != refs:
        written, wanted = Counter(line["refs"]), unpacked(refs)
        found["refs too many"] = sorted((written - wanted).elements())[:5]
        found["refs missing"] = sorted((wanted - written).elements())[:5]
    return found


HEAPS: dict[str, Callable[[], list[Any]]] = {
    "django_heap": django_heap.use,
    "app_heap": app_heap.use,
    "extension_heap": extension_heap.use,
}


def main(heap: str, path: Path) -> None:
    """Makes the heap, dumps it, compares, tells."""
    site = HEAPS[heap]()
    gc.collect()
    gc.disable()
    tracked = gc.get_objects()
    held = closure(tracked)
    before = hashes(held.values())
    heapsee.dump_all_objects(str(path))
    tracked_addresses = {id(item) for item in tracked}
    dump = dumps.verify(path)

    differences = []
    compared = changed = 0
    for (address, item), hash_before in zip(held.items(), before):
        line = dump.objects.get(address)
        if line is None:
            continue
        expected = expectation(item)
        if hash(expected) != hash_before:
            changed += 1
            continue
        compared += 1
        found = difference(line, expected, item)
        if found:
            differences.append({"address": address, "type": line["type"], **found})
    answer = {
        "objects": len(dump.objects),
        "held": len(held),
        "compared": compared,
        "changed": changed,
        "differences": differences[:50],
        "number_of_differences": len(differences),
        "missing": [type(held[address]).__name__ for address in sorted(tracked_addresses - set(dump.objects))],
        "unreached": [type(held[address]).__name__ for address in sorted(set(held) - set(dump.objects))],
        "dangling": sum(1 for line in dump.objects.values() for ref in line["refs"] if ref not in dump.objects),
        "inline": sum(1 for item in held.values() if reference.inline_values(item)),
        "site": len(site),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
