"""A worker that is asked for a dump with a signal, and ends when it is there. Run by a Python that has heapsee."""

import os
import signal
import sys
import time
from pathlib import Path

import heapsee

directory, objects = Path(sys.argv[1]), int(sys.argv[2])
kept = [{"number": number, "text": f"text {number}"} for number in range(objects)]
heapsee.install_memory_dumper(directory=str(directory))
os.kill(os.getpid(), signal.SIGPROF)
deadline = time.monotonic() + 60
while not list(directory.glob("*.dump")):
    assert time.monotonic() < deadline, heapsee.status()
    time.sleep(0.01)
