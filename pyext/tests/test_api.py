"""The functions that Python calls."""

import io
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import DEADLINE, WorkerError, check_dump, names

import heapsee


def test_dump_memory_returns_the_path(worker):
    path = worker("result = heapsee.dump_memory()")
    meta = check_dump(path)
    assert Path(path).parent == worker.directory
    assert meta["trigger"]["reason"] == "call"
    assert meta["trigger"]["signal"] is None


def test_dump_memory_goes_where_the_dumper_is_installed(worker, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    worker.install(f"directory={str(other)!r}")
    assert Path(worker("result = heapsee.dump_memory()")).parent == other


def test_dump_memory_is_a_signal_handler(worker):
    worker("signal.signal(signal.SIGUSR1, heapsee.dump_memory); os.kill(os.getpid(), signal.SIGUSR1)")
    meta = check_dump(worker.status()["last_path"])
    assert meta["trigger"]["signal"] == 10


def test_dump_memory_lets_other_threads_run(worker):
    worker.grow(300_000)
    assert (
        worker(
            "import threading\n"
            "count = 0; done = threading.Event()\n"
            "def other():\n"
            "    global count\n"
            "    while not done.is_set(): count += 1\n"
            "thread = threading.Thread(target=other); thread.start()\n"
            "before = count; heapsee.dump_memory(); after = count\n"
            "done.set(); thread.join(); result = after - before"
        )
        > 0
    )


def test_calls_from_many_threads_make_a_dump_each(worker):
    paths = worker(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: result = list(pool.map(lambda _: heapsee.dump_memory(), range(16)))"
    )
    assert len(set(paths)) == 16
    for path in paths:
        check_dump(path)


def test_dump_all_objects_to_a_path(worker):
    target = worker.directory / "here.dump"
    target.write_text("old")
    for path in (str(target), target, os.fsencode(target)):
        worker(f"from pathlib import PosixPath; heapsee.dump_all_objects({path!r})")
        check_dump(target)
    worker(f"os.chdir({str(worker.directory)!r}); heapsee.dump_all_objects('relative.dump')")
    check_dump(worker.directory / "relative.dump")
    assert names(worker.directory) == sorted(
        ["here.dump", "here.dump.meta.json", "relative.dump", "relative.dump.meta.json"]
    )


def test_dump_all_objects_through_a_link(worker):
    target = worker.directory / "target.dump"
    target.write_text("old")
    (worker.directory / "link.dump").symlink_to(target)
    worker(f"heapsee.dump_all_objects({str(worker.directory / 'link.dump')!r})")
    check_dump(target)
    assert (worker.directory / "link.dump").is_symlink()


def test_dump_all_objects_to_an_open_file(worker):
    target = worker.directory / "open.dump"
    worker(f"with open({str(target)!r}, 'wb') as file: heapsee.dump_all_objects(file)")
    addresses = {json.loads(line)["address"] for line in target.read_bytes().splitlines()}
    assert worker("result = id(os)") in addresses
    assert names(worker.directory) == ["open.dump"]


def test_dump_all_objects_here():
    buffer = io.BytesIO()
    heapsee.dump_all_objects(buffer)
    assert buffer.getvalue().startswith(b'{"address": ')
    assert buffer.getvalue().endswith(b"]}\n")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("'/nowhere/at/all.dump'", "DumpError.*cannot open the directory /nowhere/at.*ENOENT"),
        ("'/dev/null'", "ValueError.*not a regular file"),
        ("'/tmp'", "ValueError.*not a regular file"),
        ("17", "TypeError"),
    ],
)
def test_dump_all_objects_to_what_is_no_file(worker, path, reason):
    with pytest.raises(WorkerError, match=reason):
        worker(f"heapsee.dump_all_objects({path})")
    assert Path("/dev/null").is_char_device()


def test_a_number_that_is_no_descriptor():
    for call in (heapsee._heapsee.dump_to_file, lambda fd: heapsee._heapsee.dump_reachable(fd, [sys])):
        with pytest.raises(ValueError, match="-1 is no file descriptor"):
            call(-1)


def test_size_of_is_getsizeof():
    class Slots:
        __slots__ = ("a",)

    things = [None, 1, 2**100, "text", b"bytes", [1, 2], (1,), {1: 2}, {1}, Slots(), test_size_of_is_getsizeof, sys]
    for thing in things:
        assert heapsee.size_of(thing) == sys.getsizeof(thing)


def test_get_referents_are_the_objects_themselves():
    key, value = "a key of our own", object()
    referents = heapsee.get_referents({key: value})
    assert referents[0] is key
    assert referents[1] is value
    assert heapsee.get_referents(1) == []


def test_status_has_what_its_stub_says():
    stub = Path(heapsee.__file__).with_name("__init__.pyi").read_text()
    body = stub.split("class Status(TypedDict):\n")[1].split("\ndef ")[0]
    assert {line.split(":")[0].strip() for line in body.splitlines() if line.strip()} == set(heapsee.status())


def test_importing_does_nothing():
    source = "import heapsee, os; print(heapsee.status()['installed'], os.listdir('/proc/self/task').__len__())"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "False 1\n"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_names_are_datetimes_isoformat(worker, zone):
    # A time without a fraction, the last and the first microsecond of a second, both sides of summer time, a century.
    bases = (0, 1_700_000_000, 1_710_054_000, 1_730_610_000, 4_102_444_800)
    moments = [base * 1_000_000 + fraction for base in bases for fraction in (0, 1, 500_000, 999_999)]
    worker(
        f"import datetime, time; os.environ['TZ'] = {zone!r}; time.tzset()\n"
        "fromtimestamp = datetime.datetime.fromtimestamp"
    )
    for micros in moments:
        name = worker(f"result = heapsee._heapsee.dump_name({micros * 1000})")
        expected = worker(
            f"result = fromtimestamp({micros // 1_000_000}).replace(microsecond={micros % 1_000_000}).isoformat()"
        )
        assert name == f"meliae.{expected}.{worker.pid}.dump"


def test_the_dead_are_no_referents(tmp_path):
    """The traverse of `_asyncio` in 3.12 visits a free list. To refer to what is on it would free it twice."""
    source = """
        import _asyncio, asyncio, gc, heapsee, json, sys
        iterator = iter(asyncio.new_event_loop().create_future())
        next(iterator)
        name = type(iterator).__name__
        del iterator
        asked = [type(item).__name__ for item in heapsee.get_referents(_asyncio)]
        heapsee.dump_all_objects(sys.argv[1])
        gc.collect()
        written = [json.loads(line)["type"].rpartition(".")[2] for line in open(sys.argv[1])]
        print(name, name in asked, name in written)
    """
    command = [sys.executable, "-c", textwrap.dedent(source), tmp_path / "dump"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
    assert done.stdout == "FutureIter False False\n"
