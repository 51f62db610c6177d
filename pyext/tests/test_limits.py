"""Where no process can be cloned, memory is short, or the kernel is old."""

import itertools
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from conftest import SECCOMP, Page, Worker, WorkerError, check_dump, control_block, eventually, names

pytestmark = pytest.mark.outermost

EPERM, EAGAIN, ENOMEM, ENOSYS = 1, 11, 12, 38
#: Users that nobody is, and who so have no processes: no other run of these tests has the same, and no two tests of
#: this one, because a copy of a worker may outlive it for a moment. No pid is larger than 2^22.
USERS = itertools.count(100_000 + os.getpid(), 1 << 22)
#: Threads share memory (CLONE_VM); what does not is a process.
NO_PROCESSES = "refuse('clone', {error}, without=0x100)"


@pytest.mark.parametrize("error", [EPERM, ENOSYS])
def test_auto_is_inline_where_no_process_can_be_cloned(worker, error):
    worker(f"{SECCOMP}\n{NO_PROCESSES.format(error=error)}")
    worker.install()
    assert check_dump(worker.dump()["last_path"])["snapshot"]["mode"] == "inline"


@pytest.mark.parametrize(
    ("mode", "error", "reason"), [("fork", EPERM, "EPERM"), ("fork", ENOMEM, "ENOMEM"), ("auto", ENOMEM, "ENOMEM")]
)
def test_otherwise_a_clone_that_fails_is_an_error(worker, mode, error, reason):
    worker(f"{SECCOMP}\n{NO_PROCESSES.format(error=error)}")
    worker.install(f"mode={mode!r}")
    status = worker.dump()
    assert re.search(f"cannot clone the process for a snapshot: .*{reason}", status["last_error"])
    assert status["last_path"] is None


def test_no_processes_left(worker):
    """As with RLIMIT_NPROC or pids.max reached, which do not bind root."""
    worker(f"{SECCOMP}\n{NO_PROCESSES.format(error=EAGAIN)}")
    worker.install()
    status = worker.dump()
    assert re.search(r"cannot clone the process for a snapshot: .*EAGAIN.*ulimit -u", status["last_error"])
    assert (status["last_path"], worker("result = 6 * 7")) == (None, 42)


@pytest.fixture
def unprivileged():
    """A worker that has become a user who has nothing else: most limits do not bind root."""
    directory = Path(tempfile.mkdtemp(prefix="heapsee-limits-"))
    user = next(USERS)
    os.chown(directory, user, user)
    worker = Worker(directory)
    worker.install()
    worker(f"import resource; os.setgroups([]); os.setgid({user}); os.setuid({user})")
    yield worker
    worker.close()
    shutil.rmtree(directory)


def test_a_worker_that_gave_up_root_is_dumped(unprivileged):
    path = Path(unprivileged.dump()["last_path"])
    check_dump(path)
    assert path.stat().st_uid == path.parent.stat().st_uid >= 100_000


@pytest.mark.parametrize(
    ("more", "reason"),
    [(0, "cannot start the thread that asks for the GIL"), (1, "cannot clone the process for a snapshot")],
    ids=["no thread", "no process"],
)
def test_the_limit_of_processes_is_reached(unprivileged, more, reason):
    """Threads count as well: the worker's own two, the one that asks for the GIL, and the copy."""
    unprivileged(
        "before = resource.getrlimit(resource.RLIMIT_NPROC)\n"
        f"resource.setrlimit(resource.RLIMIT_NPROC, ({2 + more}, before[1]))"
    )
    status = unprivileged.dump()
    assert re.search(rf"{reason}: .*EAGAIN.*ulimit -u", status["last_error"])
    assert (status["last_path"], status["armed"], names(unprivileged.directory)) == (None, True, [])
    unprivileged("resource.setrlimit(resource.RLIMIT_NPROC, before)")
    check_dump(unprivileged.dump()["last_path"])


#: For a worker: leaves itself this many bytes of address space.
LIMIT = """
import resource
before = resource.getrlimit(resource.RLIMIT_AS)
def leave(more):
    size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, before[1]))
"""


@pytest.mark.parametrize("mode", ["fork", "inline"])
def test_the_limit_of_address_space_is_reached(worker, mode):
    """The limit is set right after arming. Python lives on with that; so must all that is ours."""
    worker(LIMIT)
    for left in (0, 1, 100, 4 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 200 << 10):
        worker(
            "resource.setrlimit(resource.RLIMIT_AS, before)\n"
            "heapsee.uninstall_memory_dumper()\n"
            f"heapsee.install_memory_dumper(mode={mode!r})\n"
            f"leave({left} << 10)"
        )
        number = Page(worker).finished + 1
        worker.kill()
        # Nobody is asked who may have no memory for an answer.
        eventually(lambda number=number: Page(worker).finished >= number, f"the dump with {left} KiB left has ended")
        assert worker.process.poll() is None, left
        if left < 128 << 10:
            told = re.search(rb"not enough address space: a dump may take \d+ MiB, .*ulimit -v", control_block(worker))
            assert told, left
            assert names(worker.directory) == []
    worker("resource.setrlimit(resource.RLIMIT_AS, before)")
    check_dump(worker.dump()["last_path"])


def test_the_limit_of_data_is_reached(worker):
    """`ulimit -d`: what the worker would have to write itself it does not begin."""
    worker.install("mode='inline'")
    worker(
        "import resource\n"
        "before = resource.getrlimit(resource.RLIMIT_DATA)\n"
        "data = int(open('/proc/self/statm').read().split()[5]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (data + (12 << 20), before[1]))"
    )
    number = Page(worker).finished + 1
    worker.kill()
    eventually(lambda: Page(worker).finished >= number, "the dump has ended")
    assert re.search(rb"not enough memory for data: a dump may take \d+ MiB, .*ulimit -d", control_block(worker))
    worker("resource.setrlimit(resource.RLIMIT_DATA, before)")
    check_dump(worker.dump()["last_path"])


def test_the_limit_of_address_space_is_reached_during_a_dump(armed):
    """What the worker has to do at a dump's end, it does with what it has set aside."""
    armed(LIMIT)
    child = armed.stopped_child()
    number = Page(armed).finished + 1
    armed("leave(0)")
    os.kill(child, signal.SIGCONT)
    eventually(lambda: Page(armed).finished >= number, "the dump has ended")
    armed("resource.setrlimit(resource.RLIMIT_AS, before)")
    status = armed.status()
    assert (status["last_error"], names(armed.directory)[0]) == (None, Path(status["last_path"]).name)


def test_a_fork_with_no_address_space_for_a_watcher(armed):
    """The application's child lives, unarmed, and says why."""
    armed(f"{LIMIT}\nleave(2 << 20)")
    armed(
        "end, say = os.pipe(); pid = os.fork()\n"
        "if pid == 0:\n"
        "    resource.setrlimit(resource.RLIMIT_AS, before)\n"
        "    status = heapsee.status(); said = repr((status['armed'], status['fork_error']))\n"
        "    os.write(say, said.encode()); os._exit(0)"
    )
    assert armed("resource.setrlimit(resource.RLIMIT_AS, before); result = os.waitpid(pid, 0)[1]") == 0
    said = armed("result = os.read(end, 1000).decode()")
    assert re.search(r"False, 'cannot start the watcher thread: .*EAGAIN.*ulimit -v", said)
    check_dump(armed.dump()["last_path"])


def test_no_memfd(worker):
    worker(f"{SECCOMP}\nrefuse('memfd_create', {EPERM})")
    with pytest.raises(WorkerError, match=r"cannot make the control block \(a memfd\): .*EPERM"):
        worker.install()
    assert not worker.status()["installed"]
    with pytest.raises(WorkerError, match=r"DumpError.*cannot make the control block"):
        worker("heapsee.dump_memory()")


def test_no_descriptors_left(armed):
    """The child has closed those that came over before it needs one."""
    armed(
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "held = []\n"
        "try:\n"
        "    while True: held.append(os.dup(0))\n"
        "except OSError: pass"
    )
    check_dump(armed.dump()["last_path"])
    assert armed("for fd in held: os.close(fd)\nresult = len(held)") > 40


def test_kernels_without_close_range(worker):
    worker(f"{SECCOMP}\nrefuse('close_range', {ENOSYS})")
    worker.install()
    child = worker.stopped_child()
    links = [os.readlink(link) for link in Path(f"/proc/{child}/fd").iterdir()]
    assert links
    assert not [link for link in links if re.match("socket|pipe|/memfd", link)]


def worker_that_reads(directory, fakes):
    """A worker to which files of the kernel's say something else: a mount namespace needs no cleaning up."""
    mounts = []
    for path, text in fakes.items():
        fake = directory / path.strip("/").replace("/", "-")
        fake.write_text(text)
        mounts.append(f"mount --bind {fake} {path}")
    script = " && ".join([*mounts, 'exec "$@"'])
    return Worker(directory, ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"])


def test_no_dump_when_the_machine_is_short_of_memory(tmp_path):
    worker = worker_that_reads(tmp_path, {"/proc/meminfo": "MemTotal: 99 kB\nMemAvailable:   20480 kB\n"})
    worker.install()
    status = worker.dump()
    assert re.search(r"not enough memory: a dump may take \d+ MiB, the machine has 20 MiB left", status["last_error"])
    assert (status["dumps_finished"], status["last_path"]) == (1, None)
    worker.close()


@pytest.mark.parametrize(
    ("line", "directory", "limit", "usage", "stat"),
    [
        ("0::/app", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        (
            "5:memory:/app",
            "/sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_no_dump_when_the_cgroup_is_short_of_memory(tmp_path, line, directory, limit, usage, stat):
    # The limit is the parent group's; of its usage the kernel could drop 1 MiB of page cache at once.
    script = (
        "mount -t tmpfs tmpfs /sys/fs/cgroup && "
        f"mkdir -p {directory}/app && "
        f"echo {100 << 20} > {directory}/{limit} && "
        f"echo {91 << 20} > {directory}/{usage} && "
        f"echo '{stat} {1 << 20}' > {directory}/memory.stat && "
        'echo "$1" > "$2" && shift 2 && exec "$@"'
    )
    own = tmp_path / "cgroup"
    worker = Worker(tmp_path, ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", line, str(own)])
    # `/proc/self` is another directory in each process: only the worker can put something over its own.
    worker(
        "import subprocess\n"
        f"subprocess.run(['mount', '--bind', {str(own)!r}, f'/proc/{{os.getpid()}}/cgroup'], check=True)"
    )
    worker.install()
    assert "the worker's cgroup has 10 MiB left" in worker.dump()["last_error"]
    worker.close()
