"""Every line of a dump of a real framework's heap, held against CPython's own word about the same object."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from harness import binaries


@pytest.fixture(scope="module", params=["django_heap", "app_heap", "extension_heap"])
def comparison(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("reference") / f"{request.param}.dump"
    answer: dict[str, Any] = json.loads(binaries.run_module("oracle.compare", request.param, path).out)
    return answer


def test_enough_is_compared(comparison: dict[str, Any]) -> None:
    assert comparison["compared"] > 70_000
    assert comparison["changed"] < 100
    if sys.version_info >= (3, 11):
        assert comparison["inline"] > 500


def test_all_that_the_collector_tracks_is_there(comparison: dict[str, Any]) -> None:
    assert comparison["missing"] == []


def test_all_that_can_be_reached_is_there(comparison: dict[str, Any]) -> None:
    assert comparison["unreached"] == []


def test_types_sizes_and_referents_are_the_objects_own(comparison: dict[str, Any]) -> None:
    assert comparison["number_of_differences"] == 0, comparison["differences"]


def test_no_reference_leads_nowhere(comparison: dict[str, Any]) -> None:
    assert comparison["dangling"] == 0
