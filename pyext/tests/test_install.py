"""Installing and uninstalling: whose signal it is, before, meanwhile and after."""

import os
import re
import signal
from pathlib import Path

import pytest
from conftest import WorkerError, check_dump, descriptors, eventually

SIGPROF_BIT = 1 << (signal.SIGPROF - 1)


def signals(pid, field):
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1], 16)


def test_install_arms_and_uninstall_gives_everything_back(worker):
    assert not worker.status()["armed"]
    worker.install()
    status = worker.status()
    assert status["armed"]
    assert status["installed"]
    assert status["control_block"]
    assert status["signal"] == signal.SIGPROF
    assert status["directory"] == str(worker.directory)
    assert signals(worker.pid, "SigCgt") & SIGPROF_BIT
    eventually(lambda: worker.threads().count("heapsee") == 1, "the watcher has its name")
    worker("heapsee.uninstall_memory_dumper()")
    assert not worker.status()["armed"]
    assert not signals(worker.pid, "SigCgt") & SIGPROF_BIT
    eventually(lambda: "heapsee" not in worker.threads(), "the watcher has ended")


def test_uninstall_without_install_is_harmless(worker):
    worker("heapsee.uninstall_memory_dumper()")
    worker("heapsee.uninstall_memory_dumper()")


def test_installed_again_after_uninstall_it_answers_again(armed):
    for _ in range(3):
        armed("heapsee.uninstall_memory_dumper()")
        assert not signals(armed.pid, "SigCgt") & SIGPROF_BIT
        armed.install()
        check_dump(armed.dump()["last_path"])


def test_an_ignored_signal_is_ignored_again_after_uninstall(worker):
    worker("signal.signal(signal.SIGPROF, signal.SIG_IGN)")
    worker.install()
    assert not signals(worker.pid, "SigIgn") & SIGPROF_BIT
    worker("heapsee.uninstall_memory_dumper()")
    assert signals(worker.pid, "SigIgn") & SIGPROF_BIT


def test_the_same_again_changes_nothing(armed):
    armed.install()
    eventually(lambda: armed.threads().count("heapsee") == 1, "the watcher has its name")
    assert len(armed.threads()) == 2
    assert armed.status()["armed"]
    armed.dump()


def test_other_arguments_take_the_place_of_the_first(armed, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    armed.install(f"signal.SIGUSR2, directory={str(other)!r}")
    assert not signals(armed.pid, "SigCgt") & SIGPROF_BIT
    armed.kill(signal.SIGUSR2)
    assert armed.finished(1)["last_path"].startswith(str(other))


def test_a_signal_counts_from_the_moment_it_is_caught(worker):
    for dumps in range(1, 41):
        worker.send("heapsee.install_memory_dumper()")
        # No pause between two looks: whoever waits for a handler may be as quick.
        while not signals(worker.pid, "SigCgt") & SIGPROF_BIT:
            pass
        worker.kill()
        worker.receive()
        assert worker.finished(dumps)["last_error"] is None
        worker("heapsee.uninstall_memory_dumper()")
    status = worker.status()
    assert (status["signals"], status["signals_merged"], status["signals_ignored"]) == (dumps, 0, 0)


def test_no_signal_is_lost_and_none_kills_while_options_change(armed):
    sent = armed(
        "import threading\n"
        "def change():\n"
        "    for number in range(300): heapsee.install_memory_dumper(min_free=number)\n"
        "changing = threading.Thread(target=change); changing.start(); result = 0\n"
        "while changing.is_alive(): os.kill(os.getpid(), signal.SIGPROF); result += 1"
    )
    eventually(lambda: armed.status()["signals"] == sent, "every signal counts")
    status = armed.finished(armed.status()["dumps_started"])
    assert (status["signals_ignored"], status["min_free"]) == (0, 299)


def test_a_handler_that_is_there_is_not_replaced(worker):
    worker("hits = []; signal.signal(signal.SIGPROF, lambda *_: hits.append(1))")
    with pytest.raises(WorkerError, match=r"RuntimeError.*already has a handler.*chain=True"):
        worker.install()
    assert not worker.status()["installed"]
    worker.kill()
    eventually(lambda: worker("result = hits") == [1], "its own handler was called")


def test_chained_both_are_called_and_the_first_is_there_after(worker):
    worker("hits = []; signal.signal(signal.SIGPROF, lambda *_: hits.append(1))")
    for installation in range(2):
        worker.install("chain=True")
        check_dump(worker.dump()["last_path"])
        eventually(lambda n=installation: len(worker("result = hits")) == 2 * n + 1, "the chained handler was called")
        worker("heapsee.uninstall_memory_dumper()")
        worker.kill()
        eventually(lambda n=installation: len(worker("result = hits")) == 2 * n + 2, "the handler was restored")
    assert worker.status()["dumps_started"] == 2


def test_what_cannot_be_chained_is_refused(armed):
    armed("heapsee.uninstall_memory_dumper(); signal.signal(signal.SIGPROF, lambda *_: None)")
    with pytest.raises(WorkerError, match="another handler since"):
        armed.install("chain=True")
    armed("signal.signal(signal.SIGPROF, signal.SIG_DFL)")
    armed.install()
    armed.dump()


def test_not_armed_when_somebody_took_the_signal(armed):
    armed("signal.signal(signal.SIGPROF, lambda *_: None)")
    status = armed.status()
    assert status["installed"]
    assert not status["armed"]
    armed("heapsee.uninstall_memory_dumper()")
    assert signals(armed.pid, "SigCgt") & SIGPROF_BIT, "the handler that took our place is left alone"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "cannot be caught"),
        (signal.SIGSTOP, "cannot be caught"),
        (signal.SIGSEGV, "crashed"),
        (signal.SIGCHLD, "a child has ended"),
        (signal.SIGPIPE, "a connection was closed"),
        (0, "no signal 0"),
        (-1, "no signal -1"),
        (65, "no signal 65"),
        (33, "C library"),
    ],
)
def test_impossible_signals(worker, number, reason):
    with pytest.raises(WorkerError, match=f"ValueError.*{reason}"):
        worker.install(str(int(number)))


def test_a_real_time_signal(worker):
    worker.install("signal.SIGRTMIN + 1")
    worker.kill(signal.SIGRTMIN + 1)
    check_dump(worker.finished(1)["last_path"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("directory='/nowhere/at/all'", "ENOENT"),
        ("directory='/etc/passwd'", "not a directory"),
        ("directory='/' + 'x' * 1100", "longer than"),
        ("mode='quick'", "auto.*fork.*inline"),
        ("min_free=-1", "min_free -1.*out of range"),
        ("2**40", "dump_signal is 1099511627776.*out of range"),
    ],
)
def test_bad_arguments(worker, arguments, reason):
    with pytest.raises(WorkerError, match=f"ValueError.*{reason}"):
        worker.install(arguments)
    assert not worker.status()["installed"]


def test_from_another_thread(worker):
    worker("import threading; t = threading.Thread(target=heapsee.install_memory_dumper); t.start(); t.join()")
    check_dump(worker.dump()["last_path"])


def test_the_watcher_never_takes_a_signal_of_the_applications(armed):
    (watcher,) = (task for task in os.listdir(f"/proc/{armed.pid}/task") if int(task) != armed.pid)
    blocked = signals(f"{armed.pid}/task/{watcher}", "SigBlk")
    unblocked = {number for number in range(1, 65) if not blocked & 1 << (number - 1)}
    # The last two are the C library's own, which it never lets anybody block.
    assert unblocked <= {signal.SIGKILL, signal.SIGSTOP, 32, 33}


def test_armed_and_idle_it_has_no_wakeups(armed):
    """However much the application does meanwhile."""
    tasks = Path(f"/proc/{armed.pid}/task")
    (watcher,) = (task for task in tasks.iterdir() if (task / "comm").read_text() == "heapsee\n")
    eventually(lambda: "futex" in (watcher / "wchan").read_text(), "the watcher waits")

    def switches():
        return re.findall(r"ctxt_switches:\s*(\d+)", (watcher / "status").read_text())

    before = switches()
    for _ in range(300):
        armed("result = sum(range(1000))")
    assert switches() == before


def test_the_control_block_is_for_its_owner_only(armed):
    (block,) = (fd for fd, target in descriptors(armed.pid).items() if "memfd:heapsee" in target)
    assert os.stat(f"/proc/{armed.pid}/fd/{block}").st_mode & 0o777 == 0o600
