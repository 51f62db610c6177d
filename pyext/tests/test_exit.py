"""The interpreter's end: never held up by us, and a dump on its way is still published."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import check_dump, eventually, names, process_state


def run(source, directory, **options):
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_the_process_ends_while_its_dump_is_being_written(armed):
    child = armed.stopped_child()
    assert armed.end() == 0
    assert process_state(child) == "T"
    os.kill(child, signal.SIGCONT)
    eventually(lambda: [name for name in names(armed.directory) if name.endswith(".dump")], "the dump is published")
    check_dump(next(armed.directory / name for name in names(armed.directory) if name.endswith(".dump")))


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "os._exit(0)",
        "heapsee.uninstall_memory_dumper()",
        "atexit.register(os.kill, os.getpid(), signal.SIGPROF)",
        "threading.Thread(target=time.sleep, args=(0.2,)).start()",
        "threading.Thread(target=time.sleep, args=(100,), daemon=True).start()",
    ],
)
def test_signalled_to_the_last_moment(tmp_path, end):
    """A signal whose dump the end of the interpreter overtakes must neither hang nor kill the process."""
    source = (
        "import atexit, os, signal, sys, threading, time, heapsee\n"
        "heapsee.install_memory_dumper()\n"
        "os.kill(os.getpid(), signal.SIGPROF)\n" + end
    )
    for _ in range(5):
        result = run(source, tmp_path)
        assert (result.returncode, result.stderr) == (0, "")


def test_signals_after_our_atexit_are_ignored_not_deadly(tmp_path):
    # Registered before ours, so called after it.
    source = (
        "import atexit, os, signal\n"
        "def late():\n"
        "    os.kill(os.getpid(), signal.SIGPROF)\n"
        "    print(heapsee.status()['armed'], heapsee.status()['signals_ignored'])\n"
        "atexit.register(late)\n"
        "import heapsee; heapsee.install_memory_dumper()"
    )
    result = run(source, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "False 1\n", "")


def test_a_dump_called_for_in_the_last_moment(tmp_path):
    source = (
        "import atexit, heapsee\natexit.register(lambda: print(heapsee.dump_memory()))\nheapsee.install_memory_dumper()"
    )
    result = run(source, tmp_path)
    assert result.stderr == ""
    check_dump(result.stdout.strip())


def test_a_daemon_thread_that_dumps_while_the_interpreter_ends(tmp_path):
    source = (
        "import heapsee, threading\n"
        "started = threading.Event()\n"
        "def dumps():\n"
        "    while True:\n"
        "        heapsee.dump_memory()\n"
        "        started.set()\n"
        "threading.Thread(target=dumps, daemon=True).start()\n"
        "started.wait()"
    )
    for _ in range(3):
        result = run(source, tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
