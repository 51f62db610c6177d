"""`heapsee.loader` answers what meliae's loader answers, about heaps of every shape."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import binaries

pytestmark = [pytest.mark.meliae, pytest.mark.outermost]
ANSWERS = Path(__file__).with_name("loader_answers.py")
HEAPS = 300
# No bool: meliae takes every one for False on Python 3.
LEAVES = ("str", "int", "NoneType")
OTHERS = "dict dict list tuple Foo Bar module function frame type _LRUNode set ABCMeta"
KINDS = (*LEAVES, *OTHERS.split())
NAMED = ("module", "function", "type")


def random_object(generator: random.Random, address: int, count: int) -> dict[str, Any]:
    """One of `count` objects that refer to each other at random."""
    kind = generator.choice(KINDS)
    wanted = 0 if kind in LEAVES else generator.choice([0, 1, 1, 2, 2, 2, 3, 4])
    # meliae trips over a dict with half a pair.
    wanted -= wanted % 2 if kind == "dict" else 0
    line: dict[str, Any] = {"address": address, "type": kind, "size": generator.randint(1, 5000)}
    if kind in NAMED:
        line["name"] = f"name{address}"
    if kind in ("str", "dict", "list", "tuple"):
        line["len"] = wanted
    if kind in ("str", "int"):
        line["value"] = f"value{generator.randint(0, 9)}" if kind == "str" else generator.randint(0, 9)
    return {**line, "refs": [generator.randint(1, count) for _ in range(wanted)]}


def random_heaps(folder: Path) -> list[Path]:
    """Dumps of a few objects each."""
    paths = []
    for seed in range(HEAPS):
        generator = random.Random(seed)
        count = generator.randint(1, 14)
        lines = [json.dumps(random_object(generator, address, count)) for address in range(1, count + 1)]
        paths.append(folder / f"{seed}.dump")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def answers(python: str, loader: str, paths: list[Path]) -> Any:
    return json.loads(binaries.run(Path(python), ANSWERS, loader, *paths, timeout=600).check().out)


def compare(paths: list[Path]) -> None:
    theirs = answers(os.environ["HEAPSEE_MELIAE_PYTHON"], "meliae", paths)
    ours = answers(sys.executable, "heapsee", paths)
    for path, expected, found in zip(paths, theirs, ours):
        assert found == expected, path


def test_random_heaps(tmp_path: Path) -> None:
    compare(random_heaps(tmp_path))


def test_a_story(tmp_path: Path) -> None:
    path = tmp_path / "story.dump"
    binaries.run_module("harness.holder", "two-stores", "600", path)
    compare([path])
