"""A process with one of the stories' heaps that dumps itself: ``python -m harness.holder STORY N FILE``.

Prints what is known by construction, as JSON: the number of objects that the store (or the chain) alone holds.
"""

from __future__ import annotations

import json
import sys

import heapsee
from heaps import stories


def main(story: str, size: str, path: str) -> None:
    """Builds, dumps, tells."""
    build = {"two-stores": stories.build_two_stores, "chain": stories.build_chain}[story]
    ledger = build(int(size))
    heapsee.dump_all_objects(path)
    print(json.dumps({"objects": ledger.objects()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
