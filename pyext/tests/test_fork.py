"""Forks of the application: every child is armed by itself, whoever forks it, and keeps nothing of its parent's."""

import os
import re
import signal
from pathlib import Path

import pytest
from conftest import check_dump, children, descriptors, eventually, names

#: What a forked child does: tell its pid, then wait until it is told to end.
CHILD = """
def forked(fork):
    ready, tell = os.pipe()
    stay, end = os.pipe()
    pid = fork()
    if pid == 0:
        os.close(end)
        os.write(tell, b"x")
        while os.read(stay, 1): pass
        os._exit(0)
    os.close(stay)
    os.read(ready, 1)
    ends.append((pid, end))
    return pid
def end_children():
    for pid, end in ends:
        os.close(end)
        assert os.waitpid(pid, 0)[1] == 0
    ends.clear()
ends = []
import ctypes
c_fork = ctypes.PyDLL(None).fork
"""


@pytest.fixture
def forking(armed):
    armed(CHILD)
    return armed


def memfds(pid):
    blocks = [fd for fd, link in descriptors(pid).items() if "memfd:heapsee" in link]
    return [os.stat(f"/proc/{pid}/fd/{fd}").st_ino for fd in blocks]


def dumps_of(directory, pid):
    return [directory / name for name in names(directory) if re.fullmatch(rf"meliae\..*\.{pid}\.dump", name)]


def dump_of(directory, pid):
    """Signal a process we cannot talk to, and return its new dump."""
    before = dumps_of(directory, pid)
    os.kill(pid, signal.SIGPROF)
    (path,) = eventually(lambda: set(dumps_of(directory, pid)) - set(before), f"process {pid} has made a dump")
    return check_dump(path)


@pytest.mark.parametrize("fork", ["os.fork", "c_fork"])
def test_a_forked_child_answers_for_itself(forking, fork):
    child = forking(f"result = forked({fork})")
    meta = dump_of(forking.directory, child)
    assert meta["process"]["pid"] == child
    assert meta["process"]["parent_pid"] == forking.pid
    check_dump(forking.dump()["last_path"])
    assert len(memfds(child)) == 1
    assert memfds(child) != memfds(forking.pid)
    eventually(lambda: children(child) == [], "the dump child has been waited for")
    forking("end_children()")


@pytest.mark.parametrize("fork", ["os.fork", "c_fork"])
def test_a_signal_at_once_after_the_fork_counts(forking, fork):
    """The child has caught the signal since its first moment, before it can have a watcher."""
    counts = forking(
        "import json, time\n"
        "def answered():\n"
        "    deadline = time.monotonic() + 60\n"
        "    while heapsee.status()['dumps_finished'] < 1 and time.monotonic() < deadline: time.sleep(0.001)\n"
        "    status = heapsee.status()\n"
        "    return [status[name] for name in ('signals', 'signals_merged', 'signals_ignored', 'dumps_finished')]\n"
        "result = []\n"
        "for _ in range(20):\n"
        "    heard, tell = os.pipe()\n"
        f"    pid = {fork}()\n"
        "    if pid == 0:\n"
        "        os.write(tell, json.dumps(answered()).encode()); os._exit(0)\n"
        "    os.kill(pid, signal.SIGPROF); os.close(tell)\n"
        "    with os.fdopen(heard) as answer: result.append(json.load(answer))\n"
        "    os.waitpid(pid, 0)"
    )
    assert counts == [[1, 0, 0, 1]] * 20
    assert forking.status()["signals"] == 0


def test_the_childs_dump_does_not_count_as_the_parents(forking):
    child = forking("result = forked(os.fork)")
    before = forking.status()
    dump_of(forking.directory, child)
    assert forking.status() == before
    forking("end_children()")


def test_children_of_children(forking):
    child = forking(
        "ready, tell = os.pipe(); stay, end = os.pipe()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.close(end); grandchild = os.fork()\n"
        "    if not grandchild: os.write(tell, b'%d' % os.getpid())\n"
        "    while os.read(stay, 1): pass\n"
        "    if grandchild: os.waitpid(grandchild, 0)\n"
        "    os._exit(0)\n"
        "os.close(stay); ends.append((pid, end)); result = int(os.read(ready, 20))"
    )
    assert dump_of(forking.directory, child)["process"]["pid"] == child
    forking("end_children()")


def test_multiprocessing(armed):
    armed(
        "import multiprocessing\n"
        "context = multiprocessing.get_context('fork'); end = context.Event(); started = context.Event()\n"
        "def work(): started.set(); end.wait()\n"
        "process = context.Process(target=work); process.start(); started.wait()"
    )
    dump_of(armed.directory, armed("result = process.pid"))
    assert armed("end.set(); process.join(); result = process.exitcode") == 0


def test_a_child_forked_in_the_middle_of_a_dump(forking):
    dump_child = forking.stopped_child()
    child = forking("result = forked(os.fork)")
    dump_of(forking.directory, child)
    # The child has waited for its own dump child, and has nothing of its parent's.
    eventually(lambda: children(child) == [], "the dump child has been waited for")
    eventually(lambda: not [link for link in descriptors(child).values() if "pidfd" in link], "no pidfd is left")
    os.kill(dump_child, signal.SIGCONT)
    check_dump(forking.finished(forking.status()["dumps_started"])["last_path"])
    forking("end_children()")


def test_forking_all_the_time_while_dumping(forking):
    """The GIL is had while the worker waits for a child, and not asked for with force.

    In a child of C's fork, of which CPython is not told, such a request would be one of a thread that is not there:
    CPython hands over the GIL and waits for ever until somebody has taken it (`drop_gil` in Python/ceval_gil).
    """
    forking.grow(30_000)
    forking("sys.setswitchinterval(1000)")
    forking.send(
        "n = heapsee.status()['dumps_finished']\n"
        "forks = 0\n"
        "while heapsee.status()['dumps_finished'] < n + 20:\n"
        "    pid = (os.fork, c_fork)[forks % 2]()\n"
        "    if pid == 0: os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "    forks += 1\n"
        "    os.kill(os.getpid(), signal.SIGPROF)\n"
        "result = forks"
    )
    assert forking.receive() >= 20
    assert forking.status()["last_error"] is None
    forking.dump()
    eventually(lambda: forking.children() == [], "all children have been waited for")


def test_python_dumps_right_after_fork(forking):
    """The child's watcher must not ask for the GIL before the child's interpreter is whole: signals sent at once."""
    for _ in range(20):
        pid = forking(
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    while not heapsee.status()['dumps_finished']: pass\n"
            "    os._exit(0 if heapsee.status()['last_error'] is None else 1)\n"
            "result = pid"
        )
        # Until the child is armed the signal is ignored (its handler is there from the first moment).
        eventually(
            lambda pid=pid: dumps_of(forking.directory, pid) or os.kill(pid, signal.SIGPROF), "the child has dumped"
        )
        assert forking(f"result = os.waitpid({pid}, 0)[1]") == 0


def test_uninstalled_children_are_not_armed(forking):
    forking("heapsee.uninstall_memory_dumper()")
    child = forking("result = forked(os.fork)")
    status = Path(f"/proc/{child}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    assert not caught & 1 << (signal.SIGPROF - 1)
    assert len(os.listdir(f"/proc/{child}/task")) == 1
    forking("end_children()")


@pytest.mark.parametrize("arguments", ["", ", preexec_fn=lambda: None", ", close_fds=False"])
def test_subprocesses_are_as_without_us(armed, arguments):
    listing = armed(
        "import subprocess\n"
        f"result = subprocess.run(['ls', '-l', '/proc/self/fd'], capture_output=True, text=True{arguments}).stdout"
    )
    assert "memfd" not in listing
    assert "eventfd" not in listing
    check_dump(armed.dump()["last_path"])


def test_a_daemon_that_closes_every_descriptor(armed):
    armed(
        "for fd in os.listdir('/proc/self/fd'):\n"
        "    try: ours = 'memfd' in os.readlink(f'/proc/self/fd/{fd}')\n"
        "    except FileNotFoundError: continue\n"
        "    if ours: os.close(int(fd))\n"
        "held = [open('/dev/zero', 'rb') for _ in range(5)]"
    )
    assert not armed.status()["control_block"]
    check_dump(armed.dump()["last_path"])
    assert armed("result = [os.readlink(f'/proc/self/fd/{f.fileno()}') for f in held]") == ["/dev/zero"] * 5
    child = armed(CHILD + "\nresult = forked(os.fork)")
    assert len(memfds(child)) == 1
    dump_of(armed.directory, child)
    armed("end_children()")


def test_gunicorns_hook_installs_once(worker):
    worker(
        "import types\n"
        "from heapsee.gunicorn import post_fork\n"
        "warnings = []\n"
        "server = types.SimpleNamespace(log=types.SimpleNamespace(warning=lambda *a: warnings.append(a[0] % a[1:])))\n"
        "me = types.SimpleNamespace(pid=os.getpid())\n"
        "post_fork(server, me)"
    )
    check_dump(worker.dump()["last_path"])
    worker("heapsee.install_memory_dumper(signal.SIGUSR2); post_fork(server, me)")
    assert worker.status()["signal"] == signal.SIGUSR2
    worker("heapsee.uninstall_memory_dumper(); signal.signal(signal.SIGPROF, lambda *_: None); post_fork(server, me)")
    assert "already has a handler" in worker("result = warnings")[0]
