"""meliae itself, on the last CPython it runs on, reads our dumps of every CPython and finds the numbers we state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import binaries, dumps

pytestmark = pytest.mark.meliae
TESTS = Path(__file__).resolve().parents[1]


def made_by(command: list[str], dump: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", *command, str(dump)], cwd=TESTS, timeout=300, check=True, stdout=subprocess.DEVNULL
    )
    return dump


@pytest.fixture(scope="module", params=["two-stores", "django"])
def dump(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("meliae") / f"{request.param}.dump"
    if request.param == "django":
        return made_by(["oracle.django_heap"], path)
    return made_by(["harness.holder", "two-stores", "60000"], path)


@pytest.fixture(scope="module")
def with_meliae(dump: Path) -> dict[str, Any]:
    command = [os.environ["HEAPSEE_MELIAE_PYTHON"], str(TESTS / "oracle" / "with_meliae.py"), str(dump)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
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
    assert (ours["objects"], ours["bytes"]) == (theirs["count"], theirs["bytes"])
    assert {kind["type"]: [kind["count"], kind["bytes"], kind["max"]] for kind in ours["types"]} == theirs["types"]
