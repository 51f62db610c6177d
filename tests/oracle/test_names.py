"""What heapsee calls references, evaluated by Python on the objects themselves: see `harness.named`."""

from __future__ import annotations

import json
from pathlib import Path

from harness import binaries

KINDS = {"Plain", "Inline", "Slotted", "SlottedDeeper", "SlottedInline", "Items", "Entries", "Ordered", "Pair", "Named"}
KINDS |= {"dict", "list", "tuple", "function", "method", "type", "module", "OddError", "collections.deque"}


def test_no_name_is_wrong_and_most_references_have_one(tmp_path: Path) -> None:
    found = json.loads(binaries.run_module("harness.named", tmp_path / "x.dump").out)
    assert found["wrong"] == []
    assert set(found["checked"]) >= KINDS
    # Members of sets, types of instances and keys themselves have none that Python could evaluate.
    assert sum(found["checked"].values()) > found["references"] / 2
    assert found["changed"] < 100
