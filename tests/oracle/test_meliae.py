"""meliae itself, on the last CPython it runs on, reads our dumps of every CPython and finds the numbers we state."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness import binaries, dumps

pytestmark = [pytest.mark.meliae, pytest.mark.outermost]
WITH_MELIAE = Path(__file__).with_name("with_meliae.py")


@pytest.fixture(scope="module", params=["two-stores", "django"])
def dump(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("meliae") / f"{request.param}.dump"
    if request.param == "django":
        binaries.run_module("oracle.django_heap", path)
    else:
        binaries.run_module("harness.holder", "two-stores", "10000", path)
    return path


@pytest.fixture(scope="module")
def with_meliae(dump: Path) -> dict[str, Any]:
    done = binaries.run(Path(os.environ["HEAPSEE_MELIAE_PYTHON"]), WITH_MELIAE, dump, timeout=600).check()
    answer: dict[str, Any] = json.loads(done.out)
    return answer


@pytest.mark.parametrize("mode", ["json", "regex"])
def test_meliae_reads_every_line(dump: Path, with_meliae: dict[str, Any], mode: str) -> None:
    read = dumps.verify(dump)
    theirs = with_meliae[mode]
    assert theirs["count"] == len(read.objects)
    assert theirs["bytes"] == read.size()
    assert theirs["refs"] == read.references()
    assert theirs["addresses"] == sum(read.objects)


@pytest.mark.parametrize("mode", ["json", "regex"])
def test_our_summary_is_meliaes(dump: Path, with_meliae: dict[str, Any], mode: str) -> None:
    ours = binaries.summary(dump)
    theirs = with_meliae[mode]
    assert (ours["totals"]["objects"], ours["totals"]["bytes"]) == (theirs["count"], theirs["bytes"])
    assert {kind["type"]: [kind["count"], kind["bytes"], kind["max_bytes"]] for kind in ours["types"]} == theirs[
        "types"
    ]
