"""What a report of a leak must say, asked of the analyzer. What it says is held against its JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from harness import binaries
from leaks.culprit import Culprit

SCHEMAS = Path(__file__).resolve().parents[2] / "analyzer" / "schemas"


def ask(verb: str, dump: Path, *arguments: str | Path) -> dict[str, Any]:
    """The JSON of a verb, which must be as its schema says."""
    done = binaries.run(binaries.HEAPSEE, verb, dump, *arguments, "--json").check()
    answer: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(answer, json.loads((SCHEMAS / f"heapsee.{verb}-1.json").read_text()))
    return answer


def check_named(dump: Path, culprit: Culprit) -> dict[str, Any]:
    """The culprit is among the first three suspects: by its place, by what piles up there and by how much."""
    suspects = ask("suspects", dump)["suspects"]
    named = [each for each in suspects[:3] if culprit.path in each["path"]]
    assert named, [each["title"] for each in suspects]
    suspect: dict[str, Any] = named[0]
    assert suspect["accumulates"]["type"] == culprit.holds or suspect["accumulates"]["inside"]["type"] == culprit.holds
    assert suspect["accumulates"]["count"] >= culprit.count
    assert culprit.holds in suspect["title"]
    assert suspect["title"].startswith(suspect["path"].replace("sys.modules['", "").replace("']", "", 1).split("[")[0])
    assert 700_000 < suspect["retained_bytes"] < 60_000_000
    return suspect
