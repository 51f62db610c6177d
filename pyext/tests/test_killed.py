"""SIGKILL at points spread over the whole dump, to the child, to the worker, to both.

Whatever dies when: a file under a final name is whole, what is left over tells whose it was, and a worker that was not
killed goes on. One CPython takes two hundred moments, the others some: what is killed here does not depend on it.
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SECCOMP, Page, Worker, WorkerError, check_dump, eventually, names, process_state
from test_disk import NO_NAMELESS_FILES

pytestmark = pytest.mark.outermost

MOMENTS = 100 if sys.version_info[:2] == (3, 13) else 12
OBJECTS = 60_000
#: Of the moments, how many lie in the walk; the rest lie in syncing and naming the two files.
WALK = 0.7
PUBLISHING = 4


def check_names(directory, dead=()):
    """Every file in the directory is whole, or a leftover of one of the dead; they are removed. Returns the dumps."""
    dumps = sorted(directory.glob("meliae.*.dump"))
    for dump in dumps:
        data = dump.read_bytes()
        meta = json.loads(dump.with_name(dump.name + ".meta.json").read_text())
        assert meta["file"]["size"] == len(data)
        assert meta["file"]["sha256"] == hashlib.sha256(data).hexdigest()
        assert meta["file"]["lines"] == meta["counts"]["objects"] == data.count(b"\n") > OBJECTS
    for path in directory.iterdir():
        if path.name.startswith("."):
            writer = re.fullmatch(r"\.heapsee-(\d+)-\d+-[01]\.tmp", path.name)
            assert writer, path.name
            assert int(writer[1]) in dead
        elif path.name.endswith(".meta.json"):
            # Sidecar first, dump last: a sidecar alone is what a death between the two leaves. A worker that lives
            # removes it.
            json.loads(path.read_text())
            assert dead or path.with_name(path.name[: -len(".meta.json")]) in dumps
        else:
            assert path in dumps
        path.unlink()
    return dumps


def wait_for_moment(worker, moment, total):
    """Returns the child's pid once its dump is at ``moment`` (0 to 1); None when it was over before that."""
    number = Page(worker).started
    os.kill(worker.pid, signal.SIGPROF)

    def reached():
        page = Page(worker)
        if page.started == number or not page.child:
            return page.finished > number and page
        if moment < WALK:
            return (page.bytes >= moment / WALK * total or page.state == PUBLISHING or page.finished > number) and page
        return (page.state == PUBLISHING or page.finished > number) and page

    page = eventually(reached, f"the dump is at {moment:.2f}")
    if moment >= WALK:
        # There is no progress to be seen here; it takes some milliseconds at most.
        time.sleep((moment - WALK) * 0.01)
    return page.child


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def prepared(directory, file_system):
    worker = Worker(directory)
    worker(f"{SECCOMP}\n{file_system}")
    worker.install()
    worker.grow(OBJECTS)
    worker.dump()
    return worker, worker.status()["bytes"]


FILE_SYSTEMS = pytest.mark.parametrize("file_system", ["", NO_NAMELESS_FILES], ids=["O_TMPFILE", "no O_TMPFILE"])


@FILE_SYSTEMS
def test_the_child_is_killed(tmp_path, file_system):
    worker, total = prepared(tmp_path, file_system)
    check_names(tmp_path)
    killed = i = 0
    # On a machine whose cores are all busy a copy may be done before it can be killed: then another one.
    while i < MOMENTS or (killed <= MOMENTS / 2 and i < 20 * MOMENTS):
        child = wait_for_moment(worker, i % MOMENTS / MOMENTS, total)
        i += 1
        if child:
            kill(child)
        eventually(lambda: (page := Page(worker)).started == page.finished, "the dump has ended")
        failed = Page(worker).outcome == 2
        # The worker sweeps what its child has left.
        assert len(check_names(tmp_path)) == 1 - failed
        killed += failed
    assert killed > MOMENTS / 2
    assert worker("result = 6 * 7") == 42
    assert re.search("killed", worker.status()["last_error"])
    worker.dump()
    assert len(check_names(tmp_path)) == 1
    eventually(lambda: worker.children() == [], "the last child has been waited for")
    worker.close()


#: Kills whoever syncs what is open as descriptor 3: in the dump child that is the directory, and the last thing it does
#: before it says that the dump has its name.
KILLED_AT_THE_END = "refuse('fsync', 0, without=4, action=KILL)"


@FILE_SYSTEMS
@pytest.mark.parametrize("target", ["the directory", "a path"])
def test_the_child_is_killed_when_its_file_has_its_name(tmp_path, file_system, target):
    """The file is whole: the worker finds it and says so."""
    worker = Worker(tmp_path)
    worker("held = [os.dup(0) for _ in range(8)]")  # The worker's own descriptors are higher ones.
    worker(f"{SECCOMP}\n{file_system}\n{KILLED_AT_THE_END}")
    worker.install()
    if target == "a path":
        worker(f"heapsee.dump_all_objects({str(tmp_path / 'named')!r})")
        path = tmp_path / "named"
        assert worker.status()["last_error"] is None
    else:
        status = worker.dump()
        assert status["last_error"] is None
        path = Path(status["last_path"])
    assert check_dump(path)["snapshot"]["consistency"] == "fork"
    assert len(list(tmp_path.iterdir())) == 2
    worker.close()


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory):
    """The library that kills who is about to name a dump."""
    library = tmp_path_factory.mktemp("unnamed") / "unnamed.so"
    source = Path(__file__).with_name("unnamed.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@FILE_SYSTEMS
def test_the_child_is_killed_between_its_two_names(tmp_path, file_system, unnamed):
    worker = Worker(tmp_path, ["env", f"LD_PRELOAD={unnamed}"])
    worker(f"{SECCOMP}\n{file_system}")
    worker.install()
    assert "SIGKILL" in worker.dump()["last_error"]
    assert names(tmp_path) == []
    older = tmp_path / "x.dump"
    older.write_text("of another time")
    with pytest.raises(WorkerError, match="SIGKILL"):
        worker(f"heapsee.dump_all_objects({str(older)!r})")
    assert names(tmp_path) == ["x.dump"]
    assert older.read_text() == "of another time"
    worker.close()


@FILE_SYSTEMS
@pytest.mark.parametrize("whom", ["worker", "both"])
def test_the_worker_is_killed(tmp_path, file_system, whom):
    """Its child goes on by itself, and what it publishes is whole."""
    moments = max(MOMENTS // 5, 4)
    published = 0
    for i in range(moments):
        worker, total = prepared(tmp_path, file_system)
        check_names(tmp_path)
        child = wait_for_moment(worker, i / moments, total)
        kill(worker.pid)
        if child and whom == "both":
            kill(child)
        worker.process.wait()
        eventually(lambda child=child: not child or process_state(child) in "?Z", "the child has ended")
        published += len(check_names(tmp_path, dead=[child]))
        worker.close()
    if whom == "worker":
        assert published == moments
