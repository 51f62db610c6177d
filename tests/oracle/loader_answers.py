"""Asks a loader everything that meliae's can answer about dumps, and prints the answers as JSON, a list.

Usage: ``python loader_answers.py meliae|heapsee FILE...``. Runs on CPython 3.8, where meliae is, and on those heapsee
knows.
"""

import importlib
import json
import sys
import warnings
from typing import Any

FEW = 100
"""Of so many objects each one is asked about."""


def value(found: Any) -> Any:
    """Of an object: meliae keeps names as bytes and values as text."""
    return found.decode("latin-1") if isinstance(found, bytes) else found


def described(found: Any) -> Any:
    """An object by its address; a value as it is."""
    return {"address": found.address} if hasattr(found, "address") else value(found)


def objects(manager: Any) -> Any:
    """All objects, as their fields, by address."""
    return sorted(
        [
            each.address,
            each.type_str,
            each.size,
            # meliae takes every bool for False on Python 3.
            None if each.type_str == "bool" else value(each.value),
            sorted(each.children),
            sorted(each.parents),
            each.total_size,
            each.num_refs,
            each.num_parents,
        ]
        for each in manager.objs.itervalues()
    )


def order(found: Any) -> Any:
    """Objects of one size come in no order of meaning."""
    return (-found.size, found.address)


def summary(manager: Any, *arguments: Any) -> Any:
    """The numbers of `summarize`."""
    found = manager.summarize(*arguments)
    kinds = {name: [kind.count, kind.total_size, kind.max_size] for name, kind in found.type_summaries.items()}
    return [found.total_count, found.total_size, kinds]


def of_one(manager: Any, each: Any) -> Any:
    """What can be asked of one object."""
    excluding = list(each.children)[1:2]
    return {
        "repr": repr(each).replace("b'", "'"),
        "children": [child.address for child in each.c],
        "parents": sorted(parent.address for parent in each.p),
        "items": [each[index].address for index in range(len(each))],
        "reached": sorted(found.address for found in each.iter_recursive_refs()),
        "reached otherwise": sorted(found.address for found in each.iter_recursive_refs(excluding=excluding)),
        "strings": [found.address for found in sorted(each.all("str"), key=order)],
        "total": [each.compute_total_size(), each.total_size, manager.compute_total_size(each).total_size],
        "dict": sorted((json.dumps(described(key)), described(item)) for key, item in each.refs_as_dict().items())
        if len(each) % 2 == 0
        else None,
        "list": [described(item) for item in manager.refs_as_list(each)],
        "summary": summary(manager, each),
        "summary otherwise": summary(manager, each, excluding),
    }


def answers(name: str, path: str) -> Any:
    """Everything."""
    loader = importlib.import_module(name + ".loader")

    def load(**options: Any) -> Any:
        # As many as there are: meliae's own default is a hundred.
        return loader.load(path, show_prog=False, max_parents=1000000, **options)

    plain, collapsed, cheap = load(collapse=False), load(), load(collapse=False)
    found: Any = {"plain": objects(plain), "collapsed": objects(collapsed)}
    plain.compute_parents()
    cheap.remove_expensive_references()
    found["parents"] = objects(plain)
    # Without parents: meliae forgets to find them anew. Without functions: it takes their second reference, whatever it
    # is, to be their globals.
    found["cheap"] = [[*each[:5], *each[6:8]] for each in objects(cheap) if each[1] != "function"]
    found["summary"] = summary(plain)
    found["types"] = {
        kind: [each.address for each in sorted(plain.get_all(kind), key=order)] for kind in found["summary"][2]
    }
    if len(found["plain"]) <= FEW:
        found["each"] = [of_one(plain, plain[each[0]]) for each in found["plain"]]
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    json.dump([answers(sys.argv[1], path) for path in sys.argv[2:]], sys.stdout)
