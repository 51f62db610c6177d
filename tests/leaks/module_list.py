"""A list in a module that every request appends to."""

from __future__ import annotations

from typing import Any

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.module_list'].audit_trail", holds="dict", count=6000)
REQUESTS = 6000
audit_trail: list[dict[str, Any]] = []


def serve(numbers: range) -> None:
    """Every request leaves a record."""
    for number in numbers:
        audit_trail.append({"id": number, "path": f"/book/{number}", "user": f"user {number}", "status": 200})
