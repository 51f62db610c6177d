"""A metaclass that registers every class, in an application that makes a class for each request's form."""

from __future__ import annotations

from typing import Any, ClassVar

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.class_registry']", holds="Registered", count=2000)
REQUESTS = 2000


class Registered(type):
    """Knows all its classes."""

    registry: ClassVar[list[type]] = []

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        Registered.registry.append(cls)


def serve(numbers: range) -> None:
    """Every request makes a form with its own fields."""
    for number in numbers:
        Registered(f"Form{number}", (), {"fields": [f"field {number}"], "is_valid": lambda form: bool(form)})
