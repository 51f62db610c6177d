"""The dump child uses neither the worker's allocator nor its locks: another thread may have held either for ever."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Worker, check_dump, eventually
from test_without_gil import STUCK, outcome, release

#: For a worker: a thread that allocates, frees and locks all the time, so that most clones catch it at it.
BUSY = """
import threading
def allocate():
    while not done: [bytearray(size) for size in range(400, 4000, 100)]; lock.acquire(); lock.release()
done = False; lock = threading.Lock(); threads = [threading.Thread(target=allocate) for _ in range(2)]
for thread in threads: thread.start()
"""


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    """The library that ends a copy which does so."""
    library = tmp_path_factory.mktemp("trap") / "trap.so"
    source = Path(__file__).with_name("trap.c")
    command = ["cc", "-w", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return library


@pytest.fixture
def trapped(tmp_path, trap):
    worker = Worker(tmp_path, ["env", f"LD_PRELOAD={trap}"])
    yield worker
    worker.close()


def test_the_trap_works(trapped):
    """A raw clone that allocates dies; one that does not lives."""
    for body, lives in [("libc.malloc(100)", False), ("None", True)]:
        status = trapped(
            "import ctypes\n"
            "libc = ctypes.PyDLL(None)\n"
            "clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]\n"
            "pid = libc.syscall(clone, signal.SIGCHLD, 0, 0, 0, 0)\n"
            "if pid == 0:\n"
            f"    {body}\n"
            "    libc._exit(0)\n"
            "result = os.waitpid(pid, 0)[1]"
        )
        assert (status == 0) is lives
        assert lives or status & 0x7F in (signal.SIGILL, signal.SIGTRAP)


@pytest.mark.parametrize("values", ["full", "hash"])
def test_no_dump_child_is_caught(trapped, values):
    trapped(BUSY)
    trapped.install(f"values={values!r}")
    for _ in range(5):
        status = trapped.dump()
        assert status["last_error"] is None
    check_dump(status["last_path"])
    trapped("heapsee.dump_all_objects(os.path.join(os.environ['TMPDIR'], 'by.path'))")
    trapped("done = True\nfor thread in threads: thread.join()")


def test_nor_is_one_that_fails(trapped):
    trapped("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))")
    trapped.install()
    trapped.grow(100_000)
    assert "EFBIG" in trapped.dump()["last_error"]


def test_nor_one_without_the_gil(trapped):
    trapped(STUCK)
    trapped.install("gil_timeout=0.1")
    fd = trapped("result = release")
    trapped.send("stuck()")
    eventually(lambda: "pipe" in Path(f"/proc/{trapped.pid}/wchan").read_text(), "the worker is stuck")
    os.kill(trapped.pid, signal.SIGPROF)
    assert check_dump(outcome(trapped, 1))["snapshot"]["consistency"] == "fork-without-gil"
    release(trapped, fd)
    trapped.receive()
