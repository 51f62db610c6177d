"""Loads a dump in both of meliae's modes and prints what it makes of it, as JSON.

Usage: ``python with_meliae.py FILE``, on CPython 3.8, or on 2.7 for a dump that was made there.
"""

import json
import sys

from meliae import loader


def summarize(path, using_json):  # type: (str, bool) -> object
    """The numbers that meliae's `summarize` collects; printing it raises on Python 3, collecting does not."""
    manager = loader.load(path, using_json=using_json, show_prog=False, collapse=False)
    summary = manager.summarize()
    return {
        "count": summary.total_count,
        "bytes": summary.total_size,
        "refs": sum(len(item) for item in manager.objs.itervalues()),
        "addresses": sum(item.address for item in manager.objs.itervalues()),
        "types": {name: [kind.count, kind.total_size, kind.max_size] for name, kind in summary.type_summaries.items()},
    }


if __name__ == "__main__":
    json.dump({"json": summarize(sys.argv[1], True), "regex": summarize(sys.argv[1], False)}, sys.stdout)
