"""The WSGI application of the tests and the demo: it holds the two-stores heap and does a little work for each request.

``OBJECTS`` in the environment says how large the heap is; ``ARM=import`` arms heapsee while the application is
imported, the way the story does it. What requests change is in the first store and beside it, never in the second.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

from heaps import stories

if os.environ.get("ARM") == "import":
    import heapsee

    heapsee.install_memory_dumper()

LEDGER = stories.build_two_stores(int(os.environ.get("OBJECTS", "20000")))
VISITED_BLOCKS = 1000
RECENT: list[dict[str, Any]] = []
LOCK = threading.Lock()


def find_block(number: int) -> Any:
    """One of the blocks that users of the site look at: those of the first store's beginning."""
    modules = sys.modules[stories.FIRST_STORE_HOLDER]._MIXED_MODULESTORE.modulestores[0].modules
    return next(itertools.islice(modules.values(), number % min(len(modules), VISITED_BLOCKS), None))


def show_block(number: int) -> dict[str, Any]:
    """Reads a block and changes it a little, as a grading request would; leaves cyclic garbage for the collector."""
    with LOCK:
        block = find_block(number)
        views = block.dirty_fields.get("views", 0) + 1
        block.dirty_fields["views"] = views
        block.history = [*block.history[-3:], {"view": views, "by": f"visitor {number}"}]
        record = {"number": number, "name": block.name.decode(), "views": views}
        RECENT.append(record)
        del RECENT[:-200]
    garbage: dict[str, Any] = {"record": record}
    garbage["itself"] = garbage
    return record


def facts() -> dict[str, Any]:
    """What the test must know about this worker's heap."""
    return {
        "pid": os.getpid(),
        "second_store_objects": LEDGER.objects(),
        "collections": gc.get_stats()[-1]["collections"],
    }


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """``/block/N`` shows a block, ``/facts`` what a test must know, ``/wait`` the same after a while."""
    path = environ["PATH_INFO"]
    try:
        if path == "/wait":
            time.sleep(0.3)
        answer = show_block(int(path.rpartition("/")[2])) if path.startswith("/block/") else facts()
    except ValueError:
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]
    body = json.dumps(answer).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("X-Worker", str(os.getpid()))]
    start_response("200 OK", headers)
    return [body]
