"""A large catalogue that is meant to be there, and a small list beside it that grows."""

from __future__ import annotations

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.catalogue'].visits", holds="dict", count=500)
REQUESTS = 500
PRODUCTS = 40_000


class Product:
    """Something to buy."""

    __slots__ = ("name", "text")

    def __init__(self, number: int) -> None:
        self.name = f"product {number}"
        self.text = f"description of product {number}. " * 8


products = {number: Product(number) for number in range(PRODUCTS)}
visits: list[dict[str, object]] = []


def serve(numbers: range) -> None:
    """Every request is noted."""
    for number in numbers:
        visits.append({"number": f"visit {number}", "products": [number]})
