"""The dump child is a guest: the application never notices it, and whatever becomes of it costs that dump only."""

import os
import re
import signal
from pathlib import Path

import pytest
from conftest import check_dump, eventually, names

pytestmark = pytest.mark.outermost

#: For a worker: threads that serve, as it were; and dumps by the dozen, each thrown away when it is whole.
SOAK = """
import glob, threading, time
def serve():
    while not done.wait(0.001):
        text = "".join(str(n) for n in range(50)); served.append({"text": text}); del served[:-100]
def dump(times):
    for _ in range(times):
        before = heapsee.status()["dumps_finished"]
        os.kill(os.getpid(), signal.SIGPROF)
        while heapsee.status()["dumps_finished"] == before: time.sleep(0.0005)
        assert heapsee.status()["last_error"] is None
        for path in glob.glob(os.environ["TMPDIR"] + "/*"): os.unlink(path)
served = []; done = threading.Event(); threads = [threading.Thread(target=serve) for _ in range(2)]
for thread in threads: thread.start()
"""


def test_fifty_dumps_under_load_leave_nothing_behind(armed):
    def belongings():
        return {
            "fds": len(os.listdir(f"/proc/{armed.pid}/fd")),
            "threads": armed.threads(),
            "children": armed.children(),
        }

    def memory():
        status = Path(f"/proc/{armed.pid}/status").read_text()
        mappings = len(Path(f"/proc/{armed.pid}/maps").read_text().splitlines())
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]), mappings

    armed(SOAK)
    armed("dump(10)")
    # A dump has ended for those outside a moment before its child is waited for.
    eventually(lambda: armed.children() == [], "the last child has been waited for")
    before, (resident, mapped) = belongings(), memory()
    armed("dump(50)")
    eventually(lambda: belongings() == before, "what the dumps needed is given back")
    # Python's own arenas come and go; fifty dumps would show.
    assert memory()[1] < mapped + 20
    assert memory()[0] < resident + 4096
    check_dump(armed.dump()["last_path"])
    armed("done.set()\nfor thread in threads: thread.join()")


def test_the_applications_waitpid_never_sees_it(armed):
    armed.stopped_child()
    assert (
        armed("try: result = os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: result = 'no child'") == "no child"
    )


def test_no_sigchld(armed):
    armed("hits = []; signal.signal(signal.SIGCHLD, lambda *_: hits.append(1))")
    armed.dump()
    assert armed("result = hits") == []


def test_a_clients_connection_closes_while_the_child_is_at_work(armed):
    armed(
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0)); client = socket.create_connection(server.getsockname())\n"
        "served, _ = server.accept(); client.settimeout(30)"
    )
    child = armed.stopped_child()
    links = [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]
    assert not [link for link in links if "socket" in link or "memfd" in link or "pipe" in link]
    armed("served.close()")
    assert armed("result = client.recv(1) == b''")


def test_it_lowers_its_claims(armed):
    child = armed.stopped_child()
    assert Path(f"/proc/{child}/comm").read_text().strip() == "heapsee-dump"
    assert Path(f"/proc/{child}/oom_score_adj").read_text().strip() == "1000"
    assert os.getpriority(os.PRIO_PROCESS, child) >= 10
    status = Path(f"/proc/{child}/status").read_text()
    assert re.search(r"^SigCgt:\s*0+$", status, re.M), "no handler of the application's may run in it"
    limits = Path(f"/proc/{child}/limits").read_text()
    assert re.search(r"^Max core file size\s+[01] ", limits, re.M)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "killed.*memory was short"),
        (signal.SIGTERM, "SIGTERM.*being stopped"),
        (signal.SIGALRM, "still at work after 900 s"),
    ],
)
def test_when_it_is_killed_there_is_a_reason_and_no_file(armed, number, reason):
    child = armed.stopped_child()
    files = names(armed.directory)
    dump = armed.status()["dumps_started"]
    os.kill(child, number)
    if number != signal.SIGKILL:
        # That one does not wait for it: the child may be gone, and its pid another's.
        os.kill(child, signal.SIGCONT)
    status = armed.finished(dump)
    assert re.search(reason, status["last_error"])
    assert names(armed.directory) == files
    assert armed.children() == []
    check_dump(armed.dump()["last_path"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPROF, signal.SIGUSR1])
def test_what_goes_to_the_process_group_does_not_end_it(armed, number):
    child = armed.stopped_child()
    os.kill(child, number)
    os.kill(child, signal.SIGCONT)
    check_dump(armed.finished(armed.status()["dumps_started"])["last_path"])


def test_the_worker_goes_on_while_its_child_is_stopped(armed):
    armed.stopped_child()
    assert armed("result = sum(range(1000))") == 499500
    assert armed.status()["dumps_finished"] < armed.status()["dumps_started"]
