"""Arming without code: HEAPSEE_INSTALL=1 and the options beside it, in processes that never heard of heapsee."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import check_dump, eventually, names

import heapsee

pytestmark = pytest.mark.outermost

PROF = signal.SIGPROF

#: A program that knows nothing of heapsee: says that it has begun, and ends when its stdin does.
PROGRAM = "import sys; print('begun', flush=True); sys.stdin.read()"

#: What the process knows of its own arming, without importing anything itself.
REPORT = """
import json, sys
module = sys.modules.get("heapsee")
print(json.dumps(module.status() if module else None))
"""


def environment(directory, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEAPSEE_")}
    return {**kept, "TMPDIR": str(directory), **{f"HEAPSEE_{name}": value for name, value in variables.items()}}


def report(directory, *options, program=REPORT, **variables):
    """The status within a process that was started with these variables (None: no heapsee in it), and its stderr."""
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=environment(directory, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("variables", [{}, {"INSTALL": ""}, {"INSTALL": "0"}, {"INSTALL": "no"}, {"MODE": "fork"}])
def test_not_asked_for_it_is_not_installed(tmp_path, variables):
    status, stderr = report(tmp_path, **variables)
    assert status is None or not status["installed"]
    assert stderr == ""


def test_without_the_variable_nothing_of_ours_is_imported(tmp_path):
    program = "import json, sys; print(json.dumps([name for name in sys.modules if 'heapsee' in name]))"
    assert report(tmp_path, program=program) == ([], "")


def test_an_import_of_heapsee_brings_little_else(tmp_path):
    """What a worker pays for the import: the extension, and no module that a bare interpreter has not."""
    program = (
        "import json, sys; before = set(sys.modules); import heapsee\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert report(tmp_path, program=program) == (["heapsee", "heapsee._heapsee"], "")


def test_a_program_that_knows_nothing_is_dumped(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment(tmp_path, INSTALL="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(PROF)
        (name,) = eventually(lambda: [name for name in names(tmp_path) if name.endswith(".dump")], "there is a dump")
        process.stdin.close()
        assert process.wait(60) == 0
    assert check_dump(tmp_path / name)["process"]["pid"] == process.pid


def test_every_option_has_its_variable(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    status, stderr = report(
        tmp_path,
        INSTALL="yes",
        SIGNAL="SIGUSR2",
        DIRECTORY=str(other),
        MODE="inline",
        CHAIN="true",
        GIL_TIMEOUT="none",
        VALUES="none",
        MIN_FREE="1000",
    )
    assert stderr == ""
    assert status["armed"]
    expected = {
        "signal": signal.SIGUSR2,
        "directory": str(other),
        "mode": "inline",
        "chain": True,
        "gil_timeout": None,
        "values": "none",
        "min_free": 1000,
    }
    assert {name: status[name] for name in expected} == expected


def test_the_documentation_names_every_variable():
    text = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
    for option in ["signal", *heapsee.install_memory_dumper.__kwdefaults__]:
        assert f"`HEAPSEE_{option.upper()}`" in text
    for option in ["dump_signal", *heapsee.install_memory_dumper.__kwdefaults__]:
        assert f"`{option}`" in text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGPROF", PROF),
        ("prof", PROF),
        ("27", 27),
        ("USR2", signal.SIGUSR2),
        ("SIGRTMIN", signal.SIGRTMIN),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("rtmax-1", signal.SIGRTMAX - 1),
    ],
)
def test_signals_by_name_and_number(tmp_path, text, number):
    status, stderr = report(tmp_path, INSTALL="1", SIGNAL=text)
    assert (status["armed"], status["signal"], stderr) == (True, number, "")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"INSTALL": "perhaps"}, "HEAPSEE_INSTALL is 'perhaps': it must be 1 or 0"),
        ({"SIGNAL": "SIGPROOF"}, "HEAPSEE_SIGNAL is 'SIGPROOF': it must be a signal"),
        ({"SIGNAL": "SIGPROF+1"}, "HEAPSEE_SIGNAL is 'SIGPROF\\+1'"),
        ({"SIGNAL": "SIG_IGN"}, "HEAPSEE_SIGNAL is 'SIG_IGN'"),
        ({"SIGNAL": "SIGRTMIN+"}, "HEAPSEE_SIGNAL is 'SIGRTMIN\\+'"),
        ({"SIGNAL": "KILL"}, "cannot be caught"),
        ({"SIGNAL": "1000"}, "no signal 1000"),
        ({"SIGNAL": "99999999999999999999"}, "too large|too big|out of range"),
        ({"MODE": "quick"}, 'mode is "quick"'),
        ({"GIL_TIMEOUT": "soon"}, "HEAPSEE_GIL_TIMEOUT is 'soon': it must be a number, or none"),
        ({"GIL_TIMEOUT": "-1"}, "gil_timeout|timeout"),
        ({"VALUES": "some"}, "values is"),
        ({"CHAIN": "maybe"}, "HEAPSEE_CHAIN is 'maybe': it must be 1 or 0"),
        ({"DIRECTORY": "/nowhere/at/all"}, "ENOENT"),
        ({"DIRECTRY": "/tmp"}, "HEAPSEE_DIRECTRY is no option of heapsee's: HEAPSEE_DIRECTORY is"),
    ],
)
def test_a_wrong_option_is_one_line_and_the_program_goes_on(tmp_path, variables, reason):
    status, stderr = report(tmp_path, **{"INSTALL": "1", **variables})
    assert status is None or not status["installed"]
    assert re.fullmatch(rf"heapsee: not installed in process \d+: .*(?:{reason}).*\n", stderr)


def test_what_is_not_ours_to_read_is_left_alone(tmp_path):
    assert report(tmp_path, INSTALL="1", BIN_DIR="/somewhere")[1] == ""


@pytest.mark.parametrize("option", ["-S", "-I"])
def test_interpreters_that_read_no_pth_files_start_as_ever(tmp_path, option):
    program = "print('null')"
    assert report(tmp_path, option, program=program, INSTALL="1") == (None, "")


def test_the_application_may_still_install_by_itself(tmp_path):
    program = (
        "import json, heapsee, signal\n"
        "heapsee.install_memory_dumper(signal.SIGUSR2)\n"
        "print(json.dumps([heapsee.status()['signal'], signal.getsignal(signal.SIGPROF)]))"
    )
    assert report(tmp_path, program=program, INSTALL="1") == ([signal.SIGUSR2, signal.SIG_DFL], "")


CHILDREN = """
import json, multiprocessing, os, sys

def child(pipe):
    import heapsee
    pipe.send(heapsee.status())

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    status = ours.recv()
    process.join()
    print(json.dumps([status["armed"], status["pid"] == process.pid, process.exitcode]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_however_they_are_started(tmp_path, method):
    program = tmp_path / "program.py"
    program.write_text(CHILDREN)
    done = subprocess.run(
        [sys.executable, program, method],
        env=environment(tmp_path, INSTALL="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [True, True, 0]
    assert done.stderr == ""


SUBINTERPRETER = """
import json, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
number = interpreters.create()
run = interpreters.exec if sys.version_info >= (3, 13) else interpreters.run_string
run(number, "import sys; assert 'heapsee' not in sys.modules")
interpreters.destroy(number)
print(json.dumps(sys.modules["heapsee"].status()))
"""


def test_a_subinterpreter_changes_nothing(tmp_path):
    status, stderr = report(tmp_path, program=SUBINTERPRETER, INSTALL="1")
    assert (status["armed"], stderr) == (True, "")


def test_pythons_own_view_of_the_signal(worker):
    """Told to ignore it, so that nobody takes it for free; as before after the end."""
    seen = "result = int(signal.getsignal(signal.SIGPROF))"
    assert worker(seen) == signal.SIG_DFL
    worker.install()
    assert worker(seen) == signal.SIG_IGN
    worker("heapsee.uninstall_memory_dumper()")
    assert worker(seen) == signal.SIG_DFL
    worker("import threading; t = threading.Thread(target=heapsee.install_memory_dumper); t.start(); t.join()")
    assert worker(seen) == signal.SIG_DFL
    check_dump(worker.dump()["last_path"])


def test_it_survives_who_resets_what_seems_free(armed):
    """As billiard does in each process of a celery pool."""
    armed(
        "for number in signal.valid_signals():\n"
        "    if number in (signal.SIGKILL, signal.SIGSTOP): continue\n"
        "    if signal.getsignal(number) not in (None, signal.SIG_IGN):\n"
        "        signal.signal(number, lambda *_: os._exit(1))"
    )
    assert armed.status()["armed"]
    check_dump(armed.dump()["last_path"])
