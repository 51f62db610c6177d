"""Signals of the application's around ours: none is left lying, none is disturbed."""

import ctypes
import os
import select
import signal
from pathlib import Path

import pytest
from conftest import DEADLINE, eventually

TGKILL = {"x86_64": 234, "aarch64": 131}[os.uname().machine]

#: For a worker: a thread that does nothing, and a handler that ends what the main thread waits for. CPython's handler,
#: which runs first and on whatever thread the kernel has chosen, says so through the FIFO.
WAITING = """
import threading
lock = threading.Lock(); lock.acquire()
read, write = os.pipe()
fifo = os.open(sys.argv[-1], os.O_RDWR | os.O_NONBLOCK)
signal.set_wakeup_fd(fifo)
def end(*_): lock.release(); os.write(write, b".")
signal.signal(signal.SIGTERM, end)
other = threading.Thread(target=threading.Event().wait, daemon=True); other.start()
result = other.native_id
"""


def is_waiting(pid, call):
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] == str(call)


FUTEX, READ = {"x86_64": (202, 0), "aarch64": (98, 63)}[os.uname().machine]


@pytest.mark.parametrize(("wait", "call"), [("lock.acquire()", FUTEX), ("os.read(read, 1)", READ)])
def test_a_signal_that_another_thread_has_taken(armed, tmp_path, wait, call):
    """As the kernel has it while the main thread has not yet taken ours. Python does not wake the main thread then."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    other = armed(WAITING.replace("sys.argv[-1]", repr(str(fifo))))
    armed.send(wait)
    eventually(lambda: is_waiting(armed.pid, call), "the main thread waits")
    with fifo.open("rb", buffering=0) as noted:
        assert ctypes.CDLL(None).syscall(TGKILL, armed.pid, other, signal.SIGTERM) == 0
        assert noted.read(1) == bytes([signal.SIGTERM])
    assert is_waiting(armed.pid, call)
    armed.kill()
    assert select.select([armed.process.stdout], [], [], DEADLINE)[0], "the main thread still waits"
    armed.receive()
    status = armed.finished(1)
    assert (status["signals"], status["signals_merged"], status["signals_ignored"]) == (1, 0, 0)


def test_no_wait_is_ended_without_need(armed):
    """Code in C may take an error from `sem_wait` for the end of its wait."""
    armed(
        "import ctypes, threading\n"
        "libc = ctypes.CDLL(None); semaphore = ctypes.create_string_buffer(64); libc.sem_init(semaphore, 0, 0)\n"
        "read, write = os.pipe()\n"
        "def post(): os.read(read, 1); libc.sem_post(semaphore)\n"
        "threading.Thread(target=post).start()"
    )
    fd = armed("result = write")
    armed.send("result = libc.sem_wait(semaphore)")
    eventually(lambda: is_waiting(armed.pid, FUTEX), "the main thread waits")
    for number in range(1, 6):
        armed.kill()
        eventually(lambda number=number: len(list(armed.directory.glob("*.dump"))) == number, "a dump")
        eventually(lambda: armed.children() == [], "the copy has been waited for")
    with open(f"/proc/{armed.pid}/fd/{fd}", "wb") as write:
        write.write(b".")
    assert armed.receive() == 0


def test_a_signal_on_its_way_does_not_kill_who_uninstalls(armed):
    armed(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])\n"
        "os.kill(os.getpid(), signal.SIGPROF)\n"
        "assert signal.SIGPROF in signal.sigpending()\n"
        "heapsee.uninstall_memory_dumper()\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])"
    )
    assert armed("result = 6 * 7") == 42
