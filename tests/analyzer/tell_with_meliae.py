"""Builds a story on CPython 3.8 and has meliae dump it: ``python tell_with_meliae.py STORY N FILE``.

Prints the number of objects that the store (or the chain) alone holds, as JSON. No heapsee anywhere.
"""

import gc
import json
import sys

from meliae import scanner

from heaps import stories

if __name__ == "__main__":
    story, size, path = sys.argv[1:]
    ledger = {"two-stores": stories.build_two_stores, "chain": stories.build_chain}[story](int(size))
    gc.collect()
    scanner.dump_all_objects(path)
    json.dump({"objects": ledger.objects()}, sys.stdout)
