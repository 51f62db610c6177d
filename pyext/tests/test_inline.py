"""Dumps that the worker writes itself: their pause is that of the whole walk, and is told as such."""

import json
import re
from pathlib import Path

import pytest
from conftest import SECCOMP, check_dump, control_block, eventually, names
from test_disk import NO_NAMELESS_FILES
from test_without_gil import SHORT, STUCK, release

pytestmark = pytest.mark.outermost

#: For a worker: a thread that wants to run Python all the time, and knows for how long at most it could not.
TICKING = """
import threading, time
longest, go_on = 0, True
def tick():
    global longest
    last = time.monotonic_ns()
    while go_on:
        now = time.monotonic_ns()
        longest = max(longest, now - last)
        last = now
ticking = threading.Thread(target=tick)
ticking.start()
"""


@pytest.mark.parametrize("by_call", [True, False])
def test_the_pause_is_what_other_threads_have_felt(worker, by_call):
    worker.grow(30_000)
    worker.install("mode='inline'")
    worker(TICKING)
    status = worker.status()
    assert status["pause_ns"] == 0
    if by_call:
        worker("heapsee.dump_memory()")
        status = worker.status()
    else:
        status = worker.dump()
    longest = worker("go_on = False; ticking.join(); result = longest")
    timings = check_dump(status["last_path"])["timings"]
    # The file is synced and named after the pause, whose length is in the sidecar by then.
    assert status["pause_ns"] == timings["pause_ns"]
    assert timings["walk_ns"] >= timings["write_ns"] > 0
    assert timings["walk_ns"] <= timings["pause_ns"] <= longest


def test_what_was_made_ready_is_taken_back(worker):
    """The file is there before the GIL is asked for; when that is not to be had in time, it is gone at once."""
    worker(f"{SECCOMP}\n{NO_NAMELESS_FILES}\n{STUCK}")
    worker.install(f"mode='inline', {SHORT}")
    fd = worker("result = release")
    worker.send("stuck()")
    eventually(lambda: "pipe" in Path(f"/proc/{worker.pid}/wchan").read_text(), "the worker is stuck")
    before = worker.directory.stat().st_mtime_ns
    worker.kill()
    eventually(lambda: b"has kept the GIL" in control_block(worker), "the dump has failed")
    assert worker.directory.stat().st_mtime_ns > before
    assert names(worker.directory) == []
    release(worker, fd)
    worker.receive()
    status = worker.status()
    assert (status["dumps_finished"], status["pause_ns"], status["last_path"]) == (1, 0, None)


def test_a_call_waits_for_the_gil_as_python_does(worker):
    """`gil_timeout` is for signals: whoever calls has the GIL, and needs it again to go on."""
    worker(STUCK)
    worker.install(f"mode='inline', {SHORT}")
    fd = worker("result = release")
    worker(
        "import threading\n"
        "go, came = threading.Event(), []\n"
        "def call(): go.wait(); came.append(heapsee.dump_memory())\n"
        "caller = threading.Thread(target=call); caller.start()"
    )
    worker.send("go.set(); stuck()")
    eventually(lambda: "pipe" in Path(f"/proc/{worker.pid}/wchan").read_text(), "the worker is stuck")
    release(worker, fd)
    worker.receive()
    (path,) = worker("caller.join(); result = came")
    assert json.loads(Path(f"{path}.meta.json").read_text())["snapshot"]["consistency"] == "inline"
    assert re.fullmatch(r"meliae\..*\.dump", Path(path).name)
