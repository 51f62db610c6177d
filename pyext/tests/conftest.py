"""A worker to be dumped: a Python process of its own that does what a test tells it, line by line.

The worker waits for orders in ``stdin.readline()``, as a server waits for requests. An order is Python source; what it
leaves in ``result`` comes back as JSON. So a test never has to guess whether the worker is ready.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEADLINE = 60.0
ADDRESS = re.compile(rb'^\{"address": ([0-9]+), "type": "[^"]*", "size": .*\]\}$', re.MULTILINE)
#: No process has this pid: the kernel gives none beyond 2^22.
GONE = 1 << 30

LOOP = """
import json, os, signal, sys
scope = {"os": os, "signal": signal, "sys": sys}
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for order in sys.stdin:
    scope["result"] = None
    try:
        exec(json.loads(order), scope)
        answer = {"result": scope["result"]}
    except BaseException as error:
        answer = {"error": [type(error).__name__, str(error)]}
    answers.write(json.dumps(answer) + "\\n")
    answers.flush()
"""


#: For a worker: makes the kernel refuse a system call with an error, or kill who makes it, always or when an argument
#: has a bit (not) set. Threads that exist already are not concerned.
SECCOMP = """
import ctypes, struct
REFUSE, KILL = 0x50000, 0x80000000
def refuse(call, error, argument=0, bit=0, without=0, action=REFUSE):
    names = (
        "clone", "openat", "linkat", "renameat2", "close_range", "write", "fsync", "memfd_create", "process_vm_readv"
    )
    numbers = {
        "x86_64": (56, 257, 265, 316, 436, 1, 74, 319, 310),
        "aarch64": (220, 56, 37, 276, 436, 64, 82, 279, 270),
    }[os.uname().machine]
    load, equal, is_set, give = 0x20, 0x15, 0x45, 0x06
    program = b"".join(struct.pack("HBBI", *step) for step in [
        (load, 0, 0, 0),
        (equal, 0, 4, dict(zip(names, numbers))[call]),
        (load, 0, 0, 16 + 8 * argument),
        (is_set, 0 if bit else 1, 1 if bit else 0, bit or without) if bit or without else (load, 0, 0, 0),
        (give, 0, 0, action | error),
        (give, 0, 0, 0x7fff0000),
        (give, 0, 0, 0x7fff0000),
    ])
    code = ctypes.create_string_buffer(program)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    assert libc.prctl(22, 2, filter) == 0, ctypes.get_errno()
"""


def eventually(condition, what):
    """Wait for ``condition()`` to be true and return what it gave."""
    deadline = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {DEADLINE:.0f} s: {what}"
        time.sleep(0.002)


class WorkerError(Exception):
    """What an order raised: the exception's name and text."""


class Worker:
    """See the module's text."""

    def __init__(self, directory, command=()):
        self.directory = directory
        self.process = subprocess.Popen(
            [*command, sys.executable, "-c", LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(directory)},
        )
        self.pid = self("result = os.getpid()")
        self("import heapsee")

    def send(self, source):
        """Give an order without waiting for its end."""
        self.process.stdin.write(json.dumps(source) + "\n")

    def receive(self):
        answer = json.loads(self.process.stdout.readline() or '{"error": ["EOFError", "the worker has ended"]}')
        if "error" in answer:
            raise WorkerError(*answer["error"])
        return answer["result"]

    def __call__(self, source):
        """Give an order and return its result."""
        self.send(source)
        return self.receive()

    def install(self, arguments=""):
        self(f"heapsee.install_memory_dumper({arguments})")

    def status(self):
        return self("result = heapsee.status()")

    def kill(self, number=signal.SIGPROF):
        os.kill(self.pid, number)

    def dump(self):
        """Have a signal make a dump; return the status after it."""
        number = self.status()["dumps_finished"] + 1
        self.kill()
        return self.finished(number)

    def finished(self, number):
        """The status once ``number`` dumps have ended."""

        def status():
            status = self.status()
            return status if status["dumps_finished"] >= number else None

        return eventually(status, f"dump {number} has ended")

    def grow(self, objects):
        """Make the heap large enough for a dump to take a moment."""
        self(f"keep = [{{'number': i, 'text': str(i)}} for i in range({objects} // 3)]")

    def children(self):
        """Pids of all children, those without a signal at their end included."""
        return children(self.pid)

    def stopped_child(self):
        """Signal for a dump and stop its child in the middle of its walk; return the child's pid."""
        # So many that a walk is seldom over before it is seen, and few enough to build and check them in no time.
        self.grow(120_000)
        for _ in range(50):
            number = self.status()["dumps_finished"] + 1
            self.kill()
            child = eventually(lambda awaited=number: self.walking_child(awaited), "the child has begun to walk")
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                if eventually(lambda pid=child: process_state(pid) in "TZ?" and process_state(pid), "it stops") == "T":
                    return child
            self.finished(number)
        raise AssertionError("fifty dump children were done before they could be stopped")

    def walking_child(self, number):
        """The pid of the dump child that has written some objects, of a process that is gone when it has ended."""
        status = self.status()
        if status["dumps_finished"] >= number:
            return GONE
        return status["objects"] and status["child_pid"]

    def threads(self):
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sorted((task / "comm").read_text().strip() for task in tasks)

    def end(self):
        """Let the worker come to its end; return its exit code."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return self.process.wait(DEADLINE)

    def close(self):
        try:
            return self.end()
        finally:
            # Its whole group, because a dump child that a test has stopped would stay so for ever.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdout.close()


def process_state(pid):
    """The letter of a process's state: T stopped, Z zombie; ? when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "?"


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def descriptors(pid):
    """Descriptor → what it is open on, without those that were closed meanwhile."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def control_block(worker):
    """The bytes of a worker's control block, read from outside as the agent does."""
    for fd, link in descriptors(worker.pid).items():
        if "memfd:heapsee" in link:
            return Path(f"/proc/{worker.pid}/fd/{fd}").read_bytes()
    return b""


class Page:
    """The control block of a worker, read from outside. Offsets are those of ``ControlPage``."""

    def __init__(self, worker):
        data = control_block(worker)
        self.state, self.outcome, self.started, self.finished = struct.unpack_from("IIQQ", data, 32)
        (self.child,) = struct.unpack_from("I", data, 80)
        self.objects, self.bytes = struct.unpack_from("QQ", data, 104)


def check_dump(path):
    """The dump at ``path`` is whole and agrees with its sidecar, which is returned."""
    path = Path(path)
    data = path.read_bytes()
    meta = json.loads(path.with_name(path.name + ".meta.json").read_text())
    lines = data.splitlines()
    assert meta["schema"] == "heapsee.dump-meta/1"
    assert meta["file"] == {
        "name": path.name,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "lines": len(lines),
    }
    assert data.endswith(b"\n")
    assert meta["counts"]["objects"] == len(lines) > 1000
    # What lines are made of is the business of `test_truth_format`: to parse hundreds of dumps would take longer than
    # to make them.
    addresses = {int(address) for address in ADDRESS.findall(data)}
    assert len(addresses) == len(lines)
    for thread in meta["threads"]:
        assert {frame["address"] for frame in thread["frames"]} <= addresses
    assert path.stat().st_mode & 0o777 == 0o600
    return meta


def names(directory):
    return sorted(os.listdir(directory))


def pytest_collection_modifyitems(items):
    """Last the tests that import all of the library: every later dump of this process would have it in it."""
    items.sort(key=lambda item: item.path.name == "test_truth_references.py")


@pytest.fixture
def worker(tmp_path):
    worker = Worker(tmp_path)
    yield worker
    worker.close()


@pytest.fixture
def armed(worker):
    """A worker with the dumper installed as the seed does it."""
    worker.install()
    return worker
