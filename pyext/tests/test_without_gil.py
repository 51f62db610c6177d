"""A worker whose GIL cannot be had: it is dumped all the same, and the dump says so.

``ctypes.PyDLL`` calls C without giving the GIL up, as an extension does that forgets to.
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import DEADLINE, WorkerError, check_dump, control_block, eventually

#: For a worker: a C function that waits for a byte in a pipe, with the GIL held all the time.
STUCK = """
import ctypes
stay, release = os.pipe()
read = ctypes.PyDLL(None).read
buffer = ctypes.create_string_buffer(8)
planted = ["planted while stuck %d" % i for i in range(100)]
def stuck(): read(stay, buffer, 1)
"""
SHORT = "gil_timeout=0.2"


def release(worker, fd):
    """Writes the byte for which the worker waits, from outside."""
    Path(f"/proc/{worker.pid}/fd/{fd}").write_bytes(b"x")


def outcome(worker, number):
    """The newest dump's path once the worker has made ``number``: it cannot be asked meanwhile."""
    found = eventually(
        lambda: len(dumps := sorted(worker.directory.glob("*.dump"))) >= number and dumps, f"{number} dumps are there"
    )
    return found[-1]


@pytest.fixture
def stuck(worker):
    """A worker that is stuck in C with the GIL, until the byte comes."""
    worker(STUCK)
    worker.install(SHORT)
    fd = worker("result = release")
    worker.send("local = ['a local of the stuck call']\nstuck()")
    eventually(lambda: "pipe" in Path(f"/proc/{worker.pid}/wchan").read_text(), "the worker is stuck")
    worker.release_fd = fd
    return worker


def asking_threads(worker):
    return worker.threads().count("heapsee-gil")


def test_a_worker_stuck_in_c_is_dumped_without_the_gil(stuck):
    stuck.kill()
    path = outcome(stuck, 1)
    meta = check_dump(path)
    assert meta["snapshot"]["consistency"] == "fork-without-gil"
    assert meta["snapshot"]["mode"] == "fork"
    assert meta["counts"]["dangling_refs"] == meta["counts"]["damaged_objects"] == 0
    assert meta["timings"]["gil_wait_ns"] >= 200_000_000
    lines = path.read_text()
    assert lines.count('"planted while stuck ') == 100
    # The stuck thread's Python stack is what one wants to know first.
    (thread,) = meta["threads"]
    assert thread["frames"][0]["function"] == "stuck"
    release(stuck, stuck.release_fd)
    stuck.receive()
    status = stuck.finished(1)
    assert (status["consistency"], status["last_error"]) == ("fork-without-gil", None)
    eventually(lambda: asking_threads(stuck) == 0, "the thread that asked has ended")
    assert check_dump(stuck.dump()["last_path"])["snapshot"]["consistency"] == "fork"
    assert stuck.status()["consistency"] == "fork"


def test_the_objects_are_those_of_a_dump_with_the_gil(stuck):
    """What a dump with the GIL finds and what one without finds differ by what the worker has done in between."""
    stuck.kill()
    without = outcome(stuck, 1)
    release(stuck, stuck.release_fd)
    stuck.receive()
    with_gil = Path(stuck.dump()["last_path"])

    def objects(path):
        return {(line["address"], line["type"]) for line in map(json.loads, path.open())}

    found, expected = objects(without), objects(with_gil)
    assert len(found & expected) > 0.95 * len(expected)


def test_one_thread_asks_for_all_dumps(stuck):
    for number in range(1, 4):
        stuck.kill()
        check_dump(outcome(stuck, number))
        assert asking_threads(stuck) == 1
    release(stuck, stuck.release_fd)
    stuck.receive()
    eventually(lambda: asking_threads(stuck) == 0, "the thread that asked has ended")


def test_an_endless_loop_in_c(worker):
    """On the processor all the time, never in a system call: a regular expression that backtracks for years."""
    worker.install(SHORT)
    worker.send("import re; re.match('(a*)*b', 'a' * 60)")
    eventually(lambda: Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "R", "it loops")
    worker.kill()
    meta = check_dump(outcome(worker, 1))
    assert meta["snapshot"]["consistency"] == "fork-without-gil"
    os.kill(worker.pid, signal.SIGKILL)


def test_inline_needs_the_gil_and_says_so(worker):
    worker(STUCK)
    worker.install(f"mode='inline', {SHORT}")
    fd = worker("result = release")
    worker.send("stuck()")
    worker.kill()
    eventually(lambda: asking_threads(worker) == 1, "the GIL is asked for")
    # The worker cannot be asked; its control block can be read, as the agent does it.
    eventually(lambda: b"has kept the GIL" in control_block(worker), "the dump has failed")
    release(worker, fd)
    worker.receive()
    status = worker.status()
    assert re.search(r"kept the GIL for 0\.2 s .*the worker itself needs it: mode=\"fork\" does", status["last_error"])
    assert status["last_path"] is None
    assert check_dump(worker.dump()["last_path"])["snapshot"]["consistency"] == "inline"


def test_without_a_timeout_it_waits(worker):
    worker(STUCK)
    worker.install("gil_timeout=None")
    fd = worker("result = release")
    worker.send("stuck()")
    worker.kill()
    eventually(lambda: asking_threads(worker) == 1, "the GIL is asked for")
    release(worker, fd)
    worker.receive()
    assert check_dump(worker.finished(1)["last_path"])["snapshot"]["consistency"] == "fork"


def test_the_interpreter_ends_while_the_gil_is_asked_for(tmp_path):
    """The thread that asks, too late by then, must neither hang the end nor survive it."""
    source = f"""
        import ctypes, os, signal, threading, heapsee
        heapsee.install_memory_dumper(directory={str(tmp_path)!r}, {SHORT})
        os.kill(os.getpid(), signal.SIGPROF)
        usleep = ctypes.PyDLL(None).usleep
        while not any(name.endswith(".dump") for name in os.listdir({str(tmp_path)!r})):
            usleep(900_000)
        print(heapsee.status()["consistency"])
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stdout in ("fork-without-gil\n", "fork\n", "None\n")
    assert done.stderr == ""


def test_a_fork_of_the_application_while_the_gil_is_asked_for(stuck):
    """Its child has no thread that asks: the next dump starts one."""
    stuck.kill()
    check_dump(outcome(stuck, 1))
    release(stuck, stuck.release_fd)
    stuck.receive()
    stuck(
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    before = heapsee.status()['dumps_finished']\n"
        "    os.kill(os.getpid(), signal.SIGPROF)\n"
        "    while heapsee.status()['dumps_finished'] == before: pass\n"
        "    os._exit(0 if heapsee.status()['last_error'] is None else 1)\n"
    )
    assert stuck("result = os.waitpid(pid, 0)[1]") == 0


@pytest.mark.parametrize("timeout", ["0", "-1", "float('nan')", "float('inf')"])
def test_timeouts_that_are_none(worker, timeout):
    with pytest.raises(WorkerError, match=r"gil_timeout is .* seconds above 0, or None"):
        worker.install(f"gil_timeout={timeout}")
