"""`heapsee suspects` on a process with many small leaks at once: each is named, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import binaries
from leaks.checks import ask
from leaks.many import AT_LEAST, LEAKS, Leak


def names(suspect: dict[str, Any], leak: Leak) -> bool:
    """Whether it says where, what, how many, and of which function."""
    piled = suspect["accumulates"]
    groups = [piled, piled["inside"] or piled]
    holds = any(leak.holds in group["type"] and group["count"] >= leak.count for group in groups)
    calls = leak.calls is None or (leak.calls in (piled["calls"] or "") and f"{leak.calls}()" in suspect["title"])
    return leak.path in suspect["path"] and holds and calls


def test_each_of_many_leaks_is_named_and_nothing_else(tmp_path: Path) -> None:
    dump = tmp_path / "many.dump"
    binaries.run_module("leaks.many", dump)
    suspects = ask("suspects", dump, "--max-items", "0", "--at-least", str(AT_LEAST))["suspects"]
    titles = [suspect["title"] for suspect in suspects]
    missing = [leak for leak in LEAKS if not any(names(suspect, leak) for suspect in suspects)]
    assert missing == [], titles
    invented = [suspect["title"] for suspect in suspects if not any(leak.path in suspect["path"] for leak in LEAKS)]
    assert invented == []
