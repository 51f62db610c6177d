"""From a signal to a file."""

import ctypes
import datetime
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DEADLINE, check_dump, children, eventually, names

pytestmark = pytest.mark.outermost


def test_a_signal_makes_a_whole_dump(armed):
    before = datetime.datetime.now()
    status = armed.dump()
    after = datetime.datetime.now()
    assert status["last_error"] is None
    meta = check_dump(status["last_path"])
    assert meta["trigger"]["reason"] == "signal"
    assert meta["trigger"]["signal"] == signal.SIGPROF
    assert meta["trigger"]["sender_pid"] == os.getpid()
    assert meta["trigger"]["sender_uid"] == os.getuid()
    assert meta["snapshot"] == {
        "mode": "fork",
        "consistency": "fork",
        "values": "full",
        "skipped_types": [],
        "skipped_objects": [],
    }
    assert 0 < meta["timings"]["pause_ns"] == status["pause_ns"]
    assert meta["timings"]["gil_wait_ns"] == status["gil_wait_ns"]
    assert meta["process"]["pid"] == armed.pid
    assert meta["process"]["command_line"][0] == sys.executable
    assert meta["python"]["version"] == sys.version.split()[0].rstrip("+")
    assert meta["python"]["build"] == sys.version
    assert meta["distributions"].get("pytest") is None, "the worker has not loaded it"
    match = re.fullmatch(rf"meliae\.(.+)\.{armed.pid}\.dump", Path(status["last_path"]).name)
    assert before <= datetime.datetime.fromisoformat(match[1]) <= after
    assert names(armed.directory) == [Path(status["last_path"]).name, Path(status["last_path"]).name + ".meta.json"]


def test_the_name_follows_the_applications_time_zone(armed):
    armed("import time; os.environ['TZ'] = 'Asia/Kathmandu'; time.tzset()")
    shown = armed("import datetime; result = datetime.datetime.now().isoformat()")
    name = Path(armed.dump()["last_path"]).name
    assert name.split(".")[1][:13] in (shown[:13], armed("result = datetime.datetime.now().isoformat()")[:13])


def test_distributions_of_loaded_modules(armed):
    armed("import pytest")
    meta = check_dump(armed.dump()["last_path"])
    import pytest

    assert meta["distributions"]["pytest"] == {"name": "pytest", "version": pytest.__version__}
    assert "json" not in meta["distributions"]


def test_a_storm_makes_one_dump(armed):
    # The storm must not outlast the dump: it comes from the process itself while the dump of a large heap is stopped.
    child = armed.stopped_child()
    before = armed.status()
    armed("for _ in range(10000): os.kill(os.getpid(), signal.SIGPROF)")
    os.kill(child, signal.SIGCONT)
    after = armed.finished(before["dumps_started"])
    assert after["signals"] - before["signals"] == 10000
    assert after["signals_merged"] - before["signals_merged"] == 10000
    assert after["dumps_started"] == before["dumps_started"]
    check_dump(after["last_path"])
    check_dump(armed.dump()["last_path"])


def test_every_signal_is_counted(armed):
    armed("for _ in range(10000): os.kill(os.getpid(), signal.SIGPROF)")
    armed.finished(1)

    def accounted_for():
        # One that came once the file of the first dump showed asks for a second, which may not have begun yet.
        status = armed.status()
        return status if status["signals"] == status["signals_merged"] + status["dumps_started"] else None

    assert eventually(accounted_for, "each signal was merged or began a dump")["signals"] == 10000


def test_a_profilers_timer_is_ignored(armed):
    armed(
        "signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)\n"
        "while heapsee.status()['signals_ignored'] < 20: sum(range(10000))\n"
        "signal.setitimer(signal.ITIMER_PROF, 0)"
    )
    status = armed.status()
    assert status["signals_ignored"] >= 20
    assert (status["signals"], status["dumps_started"]) == (0, 0)
    check_dump(armed.dump()["last_path"])


def test_a_signal_to_one_thread_counts(armed):
    armed("import threading; signal.pthread_kill(threading.get_ident(), signal.SIGPROF)")
    check_dump(armed.finished(1)["last_path"])


def test_a_queued_signal_counts(armed):
    subprocess.run(["/bin/kill", "-q", "7", "-PROF", str(armed.pid)], check=True)
    check_dump(armed.finished(1)["last_path"])


def test_while_python_computes(armed):
    armed.send("n = heapsee.status()['dumps_finished']\nwhile heapsee.status()['dumps_finished'] == n: pass")
    armed.kill()
    armed.receive()
    check_dump(armed.status()["last_path"])


def test_threads_blocked_in_c_are_in_the_dump(armed):
    armed(
        "import threading\n"
        "r, w = os.pipe()\n"
        "def blocked_in_c(fd): os.read(fd, 1)\n"
        "threads = [threading.Thread(target=blocked_in_c, args=(r,), daemon=True) for _ in range(5)]\n"
        "for thread in threads: thread.start()"
    )
    meta = check_dump(armed.dump()["last_path"])
    functions = [frame["function"] for thread in meta["threads"] for frame in thread["frames"]]
    assert functions.count("blocked_in_c") == 5


def test_inline_gives_the_same_kind_of_file(worker):
    worker.install("mode='inline'")
    worker.grow(100_000)
    status = worker.dump()
    meta = check_dump(status["last_path"])
    assert meta["snapshot"] == {
        "mode": "inline",
        "consistency": "inline",
        "values": "full",
        "skipped_types": [],
        "skipped_objects": [],
    }
    assert meta["timings"]["pause_ns"] >= meta["timings"]["walk_ns"] > 0


def test_who_sees_the_file_and_asks_again_gets_another(armed):
    """At once, by whoever watches the directory: the dump that is just being published is not asked for twice."""
    libc = ctypes.CDLL(None, use_errno=True)
    created, moved_to = 0x100, 0x80
    watch = libc.inotify_init()
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(armed.directory), created | moved_to) >= 0, ctypes.get_errno()
    for number in range(1, 51):
        armed.kill()
        # Not by asking the worker, which would give the dump time to end.
        while sum(name.endswith(".dump") for name in os.listdir(armed.directory)) < number:
            assert select.select([watch], [], [], DEADLINE)[0], f"there is no dump {number}: its signal was merged"
            os.read(watch, 65536)
    os.close(watch)
    status = armed.finished(50)
    assert (status["dumps_started"], status["signals"]) == (50, 50)
    assert status["signals_merged"] == 0


def test_a_dump_into_another_file_does_not_answer_a_signal(armed):
    """Who signals waits for a file in the directory; a call that writes its own elsewhere gives none."""
    armed.grow(300_000)
    own = armed.directory / "elsewhere.json"
    armed.send(f"heapsee.dump_all_objects({str(own)!r})")
    child = eventually(lambda: children(armed.pid), "the dump has begun")[0]
    os.kill(child, signal.SIGSTOP)
    armed.kill()
    os.kill(child, signal.SIGCONT)
    armed.receive()
    status = armed.finished(2)
    assert (status["dumps_started"], status["signals_merged"]) == (2, 0)
    check_dump(status["last_path"])
    assert own.stat().st_size > 0


def test_a_signal_of_another_user_is_ignored(armed):
    """Who may signal anybody (CAP_KILL) is not therefore somebody who may ask for a dump."""
    somebody = ["setpriv", "--reuid=4711", "--clear-groups", "--inh-caps=+kill", "--ambient-caps=+kill"]
    subprocess.run([*somebody, "kill", "-PROF", str(armed.pid)], check=True)
    status = eventually(lambda: (status := armed.status())["signals_ignored"] and status, "the signal has come")
    assert (status["signals"], status["signals_ignored"], status["dumps_started"]) == (0, 1, 0)
    check_dump(armed.dump()["last_path"])
