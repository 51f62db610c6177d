"""Reads and verifies dumps in plain Python: the reference our fast readers are held against. Slow, and meant to be."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIDECAR_SUFFIX = ".meta.json"
NAME = re.compile(r"meliae\.\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\.(?P<pid>\d+)\.dump")
REQUIRED_KEYS = ["address", "type", "size"]
OPTIONAL_KEYS = ["name", "len", "value"]


@dataclass
class Dump:
    """A dump in memory: its lines by address, its sidecar, and its size in the file system."""

    path: Path
    objects: dict[int, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def of_type(self, name: str) -> list[int]:
        """The addresses of all objects of this type."""
        return [address for address, item in self.objects.items() if item["type"] == name]

    def references(self) -> int:
        """How many references there are, repeats counted."""
        return sum(len(item["refs"]) for item in self.objects.values())

    def size(self) -> int:
        """The sum of all sizes."""
        return sum(item["size"] for item in self.objects.values())

    def types(self) -> Counter[str]:
        """How many objects there are of each type."""
        return Counter(item["type"] for item in self.objects.values())

    def roots(self) -> set[int]:
        """The addresses that the sidecar says reachability starts from."""
        return {address for root in self.meta["roots"] for address in root["addresses"]}

    def reachable(self, start: set[int], without: int | None = None) -> set[int]:
        """What can be reached from `start` along references, never entering `without`."""
        seen = {address for address in start if address in self.objects and address != without}
        pending = list(seen)
        while pending:
            for child in self.objects[pending.pop()]["refs"]:
                if child not in seen and child != without and child in self.objects:
                    seen.add(child)
                    pending.append(child)
        return seen


def sidecar_of(dump: Path) -> Path:
    """Where a dump's sidecar is."""
    return dump.with_name(dump.name + SIDECAR_SUFFIX)


def published(folder: Path) -> list[Path]:
    """The dumps of a folder that are whole, oldest first."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))


def check_line(line: str) -> dict[str, Any]:
    """One line; raises `AssertionError` unless it is exactly of the documented shape."""
    item: dict[str, Any] = json.loads(line)
    keys = list(item)
    optional = [key for key in OPTIONAL_KEYS if key in item]
    assert keys == [*REQUIRED_KEYS, *optional, "refs"], f"keys {keys}"
    assert line.isascii(), "not pure ASCII"
    assert isinstance(item["address"], int), "the address is no number"
    assert item["address"] > 0, "address 0 is the virtual root's"
    assert item["size"] >= 0, "a negative size"
    return item


def verify(path: Path, *, lines: bool = True) -> Dump:
    """Reads a dump and its sidecar; raises `AssertionError` unless the file is whole and each line well formed.

    Without `lines` only the digest, the size and the number of lines are compared with the sidecar.
    """
    content = path.read_bytes()
    meta = json.loads(sidecar_of(path).read_text())
    stated = meta["file"]
    assert hashlib.sha256(content).hexdigest() == stated["sha256"], f"{path}: not the digest that the sidecar has"
    assert len(content) == stated["size"], f"{path}: {len(content)} bytes, the sidecar says {stated['size']}"
    assert content.endswith(b"\n"), f"{path}: the last line has no end"
    assert content.count(b"\n") == stated["lines"] == meta["counts"]["objects"], f"{path}: another number of lines"
    dump = Dump(path, meta=meta)
    if not lines:
        return dump
    for number, line in enumerate(content.decode("ascii").splitlines(), 1):
        try:
            item = check_line(line)
        except (ValueError, AssertionError) as error:
            raise AssertionError(f"{path}, line {number}: {error}: {line[:300]}") from None
        assert item["address"] not in dump.objects, f"{path}, line {number}: {item['address']} has a line already"
        dump.objects[item["address"]] = item
    counts = meta["counts"]
    assert dump.references() == counts["refs"], f"{path}: another number of references than the sidecar says"
    assert dump.size() == counts["bytes"], f"{path}: another sum of sizes than the sidecar says"
    return dump
