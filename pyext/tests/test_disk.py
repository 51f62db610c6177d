"""Where dumps go, and what happens when they cannot."""

import os
import re
import signal
from pathlib import Path

import pytest
from conftest import SECCOMP, Worker, check_dump, eventually, names

pytestmark = pytest.mark.outermost


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
    worker.install("min_free=0")
    worker.grow(100_000)
    status = worker.dump()
    assert re.search(rf"cannot write the dump in {tmp_path}: .*ENOSPC.*free some space", status["last_error"])
    assert worker(f"result = os.listdir({str(tmp_path)!r})") == []
    assert worker("result = 6 * 7") == 42
    worker.close()


def test_the_disk_is_too_full_for_what_the_last_dump_took(tmp_path):
    worker = worker_with_tmpfs(tmp_path, "size=64m")
    worker.install("min_free=1 << 20")
    worker.grow(200_000)
    for _ in range(20):
        status = worker.dump()
        if status["last_error"]:
            break
    told = r"not enough disk: a dump may take \d+ MiB and 1 MiB are to stay free .* has \d+ MiB left; free some space"
    assert re.search(told, status["last_error"])
    worker.close()


def test_some_of_the_disk_stays_free(tmp_path):
    """Of the first dump nothing is known: it is given up before it takes what is to stay free."""
    worker = worker_with_tmpfs(tmp_path, "size=16m")
    worker.install("min_free=12 << 20")
    worker.grow(200_000)
    status = worker.dump()
    told = (
        rf"cannot write the dump in {tmp_path}: \d+ MiB are left there, and 12 are to stay free .min_free.: free some"
    )
    assert re.search(told, status["last_error"])
    assert worker(f"result = os.listdir({str(tmp_path)!r})") == []
    worker.install("min_free=20 << 20")
    assert re.search("0 MiB and 20 MiB are to stay free .* has 16 MiB left", worker.dump()["last_error"])
    worker.close()


def test_the_file_system_is_read_only(tmp_path):
    worker = worker_with_tmpfs(tmp_path, "size=1m")
    worker.install("min_free=0")
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


def test_a_child_that_is_killed_leaves_no_temporary(armed):
    """A dump to a path is written under a temporary name, which the worker removes for its child."""
    target = armed.directory / "exactly.here"
    armed.grow(1_000_000)
    armed(
        "import threading\n"
        "errors = []\n"
        "def dump():\n"
        f"    try: heapsee.dump_all_objects({str(target)!r})\n"
        "    except heapsee.DumpError as error: errors.append(str(error))\n"
        "thread = threading.Thread(target=dump); thread.start()"
    )
    child = eventually(lambda: armed.walking_child(1), "the child has begun to walk")
    (temporary,) = names(armed.directory)
    assert re.fullmatch(rf"\.heapsee-{child}-\d+-0\.tmp", temporary)
    os.kill(child, signal.SIGKILL)
    armed("thread.join()")
    assert names(armed.directory) == []
    assert "killed (SIGKILL)" in armed("result = errors[0]")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        # A piece of lines is a megabyte and some: what the worker itself writes is not.
        ("refuse('write', 5, argument=2, bit=1 << 20)", r"cannot write the dump in .*EIO.*kernel log"),
        ("refuse('write', 122, argument=2, bit=1 << 20)", r"cannot write the dump in .*EDQUOT.*quota is used up"),
        ("refuse('fsync', 5)", r"cannot write the dump in .*EIO"),
        ("refuse('fsync', 122)", r"cannot write the dump in .*EDQUOT"),
    ],
    ids=["EIO", "EDQUOT", "EIO at the end", "EDQUOT at the end"],
)
@pytest.mark.parametrize("mode", ["fork", "inline"])
def test_a_disk_that_fails(worker, call, told, mode):
    worker(f"{SECCOMP}\n{call}")
    worker.install(f"mode={mode!r}")
    worker.grow(30_000)
    status = worker.dump()
    assert re.search(told, status["last_error"])
    assert names(worker.directory) == []
    assert worker("result = 6 * 7") == 42


EOPNOTSUPP, EINVAL, EPERM, ENOSYS = 95, 22, 1, 38
NO_NAMELESS_FILES = f"refuse('openat', {EOPNOTSUPP}, argument=2, bit=0o20000000)"


@pytest.mark.parametrize(
    "file_system",
    [
        NO_NAMELESS_FILES,
        f"{NO_NAMELESS_FILES}; refuse('renameat2', {EINVAL}, argument=4, bit=1)",
        f"{NO_NAMELESS_FILES}; refuse('renameat2', {EINVAL}, argument=4, bit=1); refuse('linkat', {EPERM})",
    ],
    ids=["no O_TMPFILE", "no RENAME_NOREPLACE", "no links"],
)
def test_file_systems_that_can_do_less(worker, file_system):
    worker(f"{SECCOMP}\n{file_system}")
    worker.install()
    path = Path(worker.dump()["last_path"])
    check_dump(path)
    assert names(worker.directory) == [path.name, path.name + ".meta.json"]


@pytest.mark.parametrize("file_system", ["", NO_NAMELESS_FILES], ids=["O_TMPFILE", "no O_TMPFILE"])
def test_a_name_that_is_taken_is_left_alone(worker, file_system):
    """A name is a microsecond: whatever has it, the dump takes the next."""
    worker(f"{SECCOMP}\n{file_system}")
    worker.install()
    child = worker.stopped_child()
    for name in names(worker.directory):
        if name.startswith("meliae."):
            (worker.directory / name).unlink()
    at = worker.status()["requested_at_ns"]
    taken = [worker(f"result = heapsee._heapsee.dump_name({at + 1000 * later})") for later in range(4)]
    (worker.directory / taken[0]).write_text("somebody's")
    (worker.directory / taken[1]).symlink_to("/nowhere")
    (worker.directory / f"{taken[2]}.meta.json").write_text("somebody's")
    os.kill(child, signal.SIGCONT)
    path = Path(worker.finished(worker.status()["dumps_started"])["last_path"])
    assert path.name == taken[3]
    check_dump(path)
    assert (worker.directory / taken[0]).read_text() == "somebody's"
    assert (worker.directory / taken[1]).is_symlink()
    assert (worker.directory / f"{taken[2]}.meta.json").read_text() == "somebody's"
    assert len(names(worker.directory)) == 5


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
