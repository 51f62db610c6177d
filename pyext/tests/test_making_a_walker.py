"""Making a walker leaves no trace in the interpreter: it could be done in a copy of a process that knows no heapsee."""

import json
import subprocess
import sys

LOOK = """
import gc, json, sys
from heapsee import _heapsee

def change(call):
    "How many blocks of memory, tracked objects and modules there are more after the call."
    modules, tracked, blocks = len(sys.modules), len(gc.get_objects()), sys.getallocatedblocks()
    call()
    blocks_after = sys.getallocatedblocks()
    return blocks_after - blocks, len(gc.get_objects()) - tracked, len(sys.modules) - modules

gc.collect()
gc.disable()
kept = []
change(gc.isenabled)
print(json.dumps({
    "nothing": change(gc.isenabled),
    "a walker": change(_heapsee._make_walker),
    "an object": change(lambda: kept.append([[]])),
    "threading": "threading" in sys.modules,
    "enabled": gc.isenabled(),
    "threshold": gc.get_threshold(),
}))
"""


def test_it_makes_no_object_and_imports_nothing():
    # Without `site`, which imports much: what heapsee needs itself comes from where it is here.
    code = f"import sys; sys.path[:] = {sys.path!r}; exec({LOOK!r})"
    printed = subprocess.run([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    seen = json.loads(printed)
    assert seen["a walker"] == seen["nothing"]
    assert seen["an object"] != seen["nothing"], "this look would see one object more"
    assert seen["threading"] is False
    assert (seen["enabled"], seen["threshold"][0] > 0) == (False, True)
