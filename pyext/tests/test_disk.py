"""Where dumps go, and what happens when they cannot."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Worker, check_dump, names


def test_the_directory_has_vanished(armed, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    armed.install(f"directory={str(gone)!r}")
    gone.rmdir()
    status = armed.dump()
    assert re.search(rf"cannot open the directory {gone}: .*ENOENT.*create the directory", status["last_error"])
    assert status["last_path"] is None
    gone.mkdir()
    check_dump(armed.dump()["last_path"])


def test_the_directory_vanishes_during_the_dump(armed, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    armed.install(f"directory={str(gone)!r}")
    child = armed.stopped_child()
    for name in names(gone):
        (gone / name).unlink()
    gone.rmdir()
    os.kill(child, signal.SIGCONT)
    status = armed.finished(armed.status()["dumps_started"])
    assert re.search(rf"{gone}: .*ENOENT", status["last_error"])


def worker_with_tmpfs(directory, options):
    """A worker that sees a file system of its own at ``directory``: a mount namespace needs no cleaning up."""
    script = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    return Worker(directory, ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(directory)])


def test_the_disk_is_full(tmp_path):
    worker = worker_with_tmpfs(tmp_path, "size=1m")
    worker.install()
    worker.grow(100_000)
    status = worker.dump()
    assert re.search(rf"cannot write the dump in {tmp_path}: .*ENOSPC.*free some space", status["last_error"])
    assert worker(f"result = os.listdir({str(tmp_path)!r})") == []
    assert worker("result = 6 * 7") == 42
    worker.close()


def test_the_disk_is_too_full_for_what_the_last_dump_took(tmp_path):
    worker = worker_with_tmpfs(tmp_path, "size=64m")
    worker.install()
    worker.grow(200_000)
    for _ in range(20):
        status = worker.dump()
        if status["last_error"]:
            break
    told = r"not enough disk: a dump may take \d+ MiB, .* has \d+ MiB left; free some space"
    assert re.search(told, status["last_error"])
    worker.close()


def test_the_file_system_is_read_only(tmp_path):
    worker = worker_with_tmpfs(tmp_path, "size=1m")
    worker.install()
    worker(f"import subprocess; subprocess.run(['mount', '-o', 'remount,ro', {str(tmp_path)!r}], check=True)")
    assert re.search("cannot create a file in .*EROFS.*not read-only", worker.dump()["last_error"])
    worker.close()


def test_the_file_size_is_limited(armed):
    armed("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))")
    armed.grow(100_000)
    status = armed.dump()
    assert re.search(r"cannot write the dump in .*EFBIG.*ulimit -f", status["last_error"])
    assert names(armed.directory) == []
    assert armed("result = 6 * 7") == 42


def test_without_nameless_files_no_temporary_stays(armed):
    """A dump to a path is written under a temporary name; so are all where the file system has no O_TMPFILE."""
    target = armed.directory / "exactly.here"
    armed.grow(1_000_000)
    armed.send(f"heapsee.dump_all_objects({str(target)!r})")
    (child,) = [pid for pid in iter(lambda: armed.children(), []) if pid][-1:] or [None]
    del child
    armed.receive()
    check_dump(target)
    assert names(armed.directory) == ["exactly.here", "exactly.here.meta.json"]


def test_a_name_that_is_taken_is_left_alone(armed):
    """A name is a microsecond: whatever has it, a file or a dangling link, the dump takes the next."""
    status = armed.dump()
    first = Path(status["last_path"])
    content = first.read_bytes()
    second = Path(armed.dump()["last_path"])
    assert first != second
    assert first.read_bytes() == content


def test_files_are_for_their_owner_only(armed):
    armed("os.umask(0)")
    path = Path(armed.dump()["last_path"])
    for name in (path, path.with_name(path.name + ".meta.json")):
        assert name.stat().st_mode & 0o777 == 0o600


def test_sidecar_is_small_and_says_what_it_leaves_out(armed):
    armed("kinds = [type('Kind%06d' % i, (), {}) for i in range(15000)]")
    path = armed.dump()["last_path"]
    meta = check_dump(path)
    assert os.path.getsize(path + ".meta.json") <= 1_000_000
    assert len(meta["types"]) + meta["types_left_out"] > 15000
    assert meta["types_left_out"] > 0
    json.dumps(meta)


@pytest.mark.parametrize("command", [["true"]])
def test_unshare_is_there(command):
    """The tests above need it; without it they would fail in a way that is hard to read."""
    subprocess.run(["unshare", "--mount", "--map-root-user", *command], check=True)
