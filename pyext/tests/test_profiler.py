"""Beside a profiler that has the same signal raised by a timer a thousand times a second."""

import pytest
from conftest import check_dump

pytestmark = pytest.mark.outermost

#: What a sampling profiler (pprof, statprof, plop) does: an ITIMER_PROF of 1 ms and a handler, here Python's own.
PROFILER = """
samples = 0
def sample(number, frame):
    global samples
    samples += 1
signal.signal(signal.SIGPROF, sample)
signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
"""
#: Burns processor time, which is what drives the timer, until so many ticks were ignored.
BUSY = "while heapsee.status()['signals_ignored'] < {ticks}: sum(range(2000))"
DUMPS = 15


def dump_while_profiled(worker):
    """Real signals between the ticks, each of which makes its dump; returns the last status."""
    for number in range(1, DUMPS + 1):
        status = worker.status()
        worker.send(BUSY.format(ticks=status["signals_ignored"] + 60))
        worker.kill()
        worker.receive()
        status = worker.finished(number)
        assert (status["dumps_started"], status["last_error"]) == (number, None)
    worker("signal.setitimer(signal.ITIMER_PROF, 0)")
    status = worker.status()
    assert status["signals"] == DUMPS == status["dumps_finished"]
    assert status["signals_ignored"] >= 60 * DUMPS
    check_dump(status["last_path"])
    return status


def test_each_real_signal_is_answered_and_no_tick_is(worker):
    worker("signal.setitimer(signal.ITIMER_PROF, 0)")
    worker.install()
    worker("signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)")
    dump_while_profiled(worker)


def test_a_profilers_handler_is_chained_and_sees_every_signal(worker):
    worker(PROFILER)
    worker.install("chain=True")
    # Ticks from before are not among those that heapsee has counted.
    worker("samples = 0")
    status = dump_while_profiled(worker)
    # Python runs its handlers later, and several ticks may make one call.
    assert 0 < worker("result = samples") <= status["signals"] + status["signals_ignored"]


def test_a_profiler_that_is_not_chained_keeps_its_signal(worker):
    worker(PROFILER)
    with pytest.raises(Exception, match="already has a handler"):
        worker.install()
    assert worker("n = samples\nwhile samples < n + 20: sum(range(2000))\nresult = samples") >= 20
    worker("signal.setitimer(signal.ITIMER_PROF, 0)")
    worker.install("signal.SIGUSR2")
    worker("signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)")
    worker.kill(12)
    assert worker.finished(1)["signals_ignored"] == 0
