"""Processes without a leak, on every CPython: `heapsee suspects` accuses nobody, by one dump or by three."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import binaries
from healthy.process import PROCESSES
from leaks.checks import ask


def accused(*dumps: Path) -> list[str]:
    """What is said of whom."""
    return [each["title"] + "\n" + each["explanation"] for each in ask("suspects", dumps[0], *dumps[1:])["suspects"]]


@pytest.mark.parametrize("name", PROCESSES)
def test_nobody_is_accused(name: str, tmp_path: Path) -> None:
    dumps = [tmp_path / f"{number}.dump" for number in (1, 2, 3)]
    binaries.run_module("healthy.process", name, *dumps)
    assert accused(dumps[0]) == []
    assert accused(*dumps) == []
