"""What goes wrong for a person is said in one line, with what to do about it, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import binaries, dumps, proc
from harness.waiting import wait_until

pytestmark = pytest.mark.outermost

LINE = '{"address": 1, "type": "dict", "size": 64, "len": 0, "refs": []}\n'
SECOND_LINE = '{"address": 2, "type": "str", "size": 50, "len": 1, "value": "a", "refs": []}\n'
UNREADABLE, BROKEN, NO_PROCESS, NOT_ARMED, NO_PERMISSION, STORE_PROBLEM = 3, 1, 3, 4, 5, 7
NOBODY = 65534
ANOTHER_USER = NOBODY if os.geteuid() == 0 else None
"""Root may do everything, so it has to become somebody else to be refused; anybody else is refused as he is."""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter and write to, with our binaries in it: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="heapsee-test-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        for binary in (binaries.HEAPSEE, binaries.AGENT):
            shutil.copy(binary, folder)
        yield folder


def one_line(done: binaries.Done, code: int, *words: str) -> None:
    """The program ended with this code, printed no data, and said it in one line that has these words."""
    assert done.code == code, f"exit {done.code}: {done.err}"
    assert done.out == ""
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert "panicked" not in done.err
    for word in words:
        assert word in lines[0], f"{word!r} is not in {lines[0]!r}"


def summary(path: Path) -> binaries.Done:
    return binaries.run(binaries.HEAPSEE, "summary", path)


def test_no_such_file(tmp_path: Path) -> None:
    one_line(summary(tmp_path / "missing.dump"), UNREADABLE, "missing.dump")


def test_a_directory(tmp_path: Path) -> None:
    one_line(summary(tmp_path), UNREADABLE, "directory")


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.dump"
    path.touch()
    one_line(summary(path), BROKEN, "empty")


def test_a_file_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.dump"
    path.write_text(LINE + SECOND_LINE[:30])
    one_line(summary(path), BROKEN, "cut.dump", "--salvage")
    salvaged = binaries.run(binaries.HEAPSEE, "summary", "--json", "--salvage", path).check()
    assert json.loads(salvaged.out)["totals"]["objects"] == 1


def test_a_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "binary.dump"
    path.write_bytes(bytes(range(256)) * 64)
    one_line(summary(path), BROKEN, "binary.dump")


def test_a_file_that_may_not_be_read(open_folder: Path) -> None:
    path = open_folder / "secret.dump"
    path.write_text(LINE)
    path.chmod(0)
    done = binaries.run(open_folder / "heapsee", "summary", path, user=ANOTHER_USER)
    one_line(done, UNREADABLE, "secret.dump", "ermission")


def test_a_bad_file_does_not_end_a_session(tmp_path: Path) -> None:
    (tmp_path / "good.dump").write_text(LINE + SECOND_LINE)
    script = f"read {tmp_path}/missing.dump\nread {tmp_path}/good.dump\nselect count(*) from obj\n"
    done = binaries.run(binaries.HEAPSEE, "shell", stdin=script)
    assert done.code == 0
    assert "missing.dump" in done.out + done.err
    assert "2 (2) objects" in done.out
    strict = binaries.run(binaries.HEAPSEE, "shell", "--strict", stdin=script)
    assert strict.code != 0
    assert "2 (2) objects" not in strict.out


@pytest.fixture
def unarmed() -> Iterator[subprocess.Popen[str]]:
    """A Python process that knows nothing of heapsee; it answers a line to show that it lives."""
    code = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert answers(process)
        yield process
        process.kill()


def answers(process: subprocess.Popen[str]) -> bool:
    """Whether the process is as lively as before."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("alive?\n")
    process.stdin.flush()
    return process.stdout.readline() == "alive?\n"


def dump(pid: int | str, store: Path) -> binaries.Done:
    return binaries.run(binaries.AGENT, "dump", "--pid", str(pid), "--store", store)


def test_an_unarmed_process_is_left_alive(unarmed: subprocess.Popen[str], tmp_path: Path) -> None:
    one_line(dump(unarmed.pid, tmp_path / "store"), NOT_ARMED, str(unarmed.pid), "install_memory_dumper")
    assert answers(unarmed)


def test_a_pid_that_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    one_line(dump(process.pid, tmp_path / "store"), NO_PROCESS, str(process.pid))


def test_no_pid_at_all(tmp_path: Path) -> None:
    done = dump("forty-two", tmp_path / "store")
    assert done.code == 2
    assert "forty-two" in done.err


ARMED = """
import heapsee, sys
heapsee.install_memory_dumper(directory=sys.argv[1])
print("ready", flush=True)
for line in sys.stdin: print(line, end='', flush=True)
"""


@pytest.fixture
def armed(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that answers SIGPROF with a dump."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    command = [sys.executable, "-c", ARMED, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_somebody_elses_process(armed: subprocess.Popen[str], open_folder: Path, tmp_path: Path) -> None:
    somebody_elses = armed.pid if os.geteuid() == 0 else 1
    arguments = ["dump", "--pid", str(somebody_elses), "--store", str(open_folder / "store")]
    done = binaries.run(open_folder / "heapsee-agent", *arguments, user=ANOTHER_USER)
    one_line(done, NO_PERMISSION, str(somebody_elses))
    assert answers(armed)
    assert list((tmp_path / "dumps").iterdir()) == []


def test_a_store_that_cannot_be_written(armed: subprocess.Popen[str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("a file where a folder should be")
    done = dump(armed.pid, store)
    assert done.code == STORE_PROBLEM, done.err
    assert "store" in done.err
    assert answers(armed)
    assert all(path.name.endswith((".dump", dumps.SIDECAR_SUFFIX)) for path in (tmp_path / "dumps").iterdir())


def test_a_killed_worker_leaves_nothing_half_made(armed: subprocess.Popen[str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [str(binaries.AGENT), "dump", "--pid", str(armed.pid), "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        armed.kill()
        wait_until("the worker to be gone", lambda: not proc.is_running(armed.pid))
        out, err = agent.communicate(timeout=60)
    if agent.returncode == 0:
        dumps_stored = [Path(out.strip())]
        assert dumps_stored[0].is_file()
    else:
        assert len(err.strip().splitlines()) >= 1
        assert list(store.rglob("*.dump*")) == []
