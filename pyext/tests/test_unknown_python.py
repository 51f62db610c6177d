"""On a CPython whose layouts are not those the extension was built for it walks by public API, and says so."""

import json
import re
import sys
from pathlib import Path

from conftest import check_dump

PLANT = """
class Plain:
    def __init__(self, i): self.first = [i]; self.second = "text of %d" % i
kept = [Plain(i) for i in range(100)]
for item in kept[:10]: item.__dict__
def in_a_call():
    local = ["a local"]
    heapsee.dump_memory()
    return local
import gc; gc.collect()
tracked = [id(item) for item in gc.get_objects()]
in_a_call()
"""


def objects(worker):
    worker(PLANT)
    path = Path(worker.status()["last_path"])
    meta = check_dump(path)
    return {line["address"]: line for line in map(json.loads, path.open())}, meta


def test_all_is_there_but_for_what_is_said(worker):
    worker("heapsee._heapsee._forget_layouts()")
    found, meta = objects(worker)
    said = worker.status()["walker"]
    assert re.match(r"asks gc\.get_objects\(\), which is slower, .*", said)
    if sys.version_info >= (3, 11):
        assert re.search(
            "locals of running frames are not seen; attributes .* have no names: this CPython differs", said
        )
    assert (meta["counts"]["dangling_refs"], meta["counts"]["damaged_objects"]) == (0, 0)
    # The names of functions, files and threads come from the interpreter itself.
    (thread,) = [thread for thread in meta["threads"] if thread["frames"]]
    assert "in_a_call" in [frame["function"] for frame in thread["frames"]]
    assert all(frame["file"] and frame["line"] for frame in thread["frames"])
    addresses = worker("result = [[id(item), id(item.first), id(item.second), id(Plain)] for item in kept]")
    for item, first, second, kind in addresses:
        assert {first, second} <= set(found)
        assert kind in found[item]["refs"]
    assert worker("result = id(in_a_call)") in found
    tracked = worker("result = tracked")
    assert len(set(tracked) & set(found)) > 0.99 * len(tracked)


def test_it_is_the_same_heap(worker, tmp_path):
    known, _ = objects(worker)
    other = type(worker)(tmp_path)
    other("heapsee._heapsee._forget_layouts()")
    unknown, _ = objects(other)
    other.close()
    assert abs(len(known) - len(unknown)) < 0.02 * len(known)
    sizes = [sum(line["size"] for line in found.values()) for found in (known, unknown)]
    assert abs(sizes[0] - sizes[1]) < 0.03 * sizes[0]


def test_without_the_gil_there_is_no_way(worker):
    """The collector's lists would have to be known: then the reason is told, and the worker goes on."""
    worker("heapsee._heapsee._forget_layouts()")
    worker("import ctypes; usleep = ctypes.PyDLL(None).usleep; usleep.argtypes = [ctypes.c_uint]")
    worker.install("gil_timeout=0.1")
    worker("os.kill(os.getpid(), signal.SIGPROF); usleep(900_000)")
    error = worker.finished(1)["last_error"]
    assert re.search(r"has kept the GIL for 0\.1 s .*not known well enough to be copied without it", error)
