"""A worker that answers as told: the agent's counterpart in its tests.

It writes the control block, the dump and the sidecar by itself, from the documentation of the format, and shares no
code with the agent or the extension. It stops where it is told to ("at STATE" on stdout) until "go" comes on stdin.
"""

import argparse
import ctypes
import datetime
import hashlib
import json
import mmap
import os
import select
import signal
import struct
import time
from pathlib import Path

# name: (offset, struct code); texts: (offset, capacity)
NUMBERS = {
    "magic": (0, "8s"),
    "version": (8, "I"),
    "pid": (12, "I"),
    "start_time": (16, "Q"),
    "signal": (24, "I"),
    "armed": (28, "I"),
    "state": (32, "I"),
    "outcome": (36, "I"),
    "started": (40, "Q"),
    "finished": (48, "Q"),
    "signals": (56, "Q"),
    "signals_merged": (64, "Q"),
    "signals_ignored": (72, "Q"),
    "child_pid": (80, "I"),
    "started_at": (88, "Q"),
    "expected_objects": (96, "Q"),
    "objects": (104, "Q"),
    "bytes": (112, "Q"),
    "gil_wait_ns": (120, "Q"),
    "pause_ns": (128, "Q"),
    "outcomes": (3696, "Q"),
}
TEXTS = {
    "python": (144, 24),
    "heapsee": (176, 24),
    "mode": (208, 24),
    "directory": (240, 1024),
    "last_path": (1272, 1200),
    "last_error": (2480, 1024),
}
STATES = {"idle": 0, "waiting": 1, "snapshot": 2, "walking": 3, "publishing": 4}


class Page:
    """The control block."""

    def __init__(self):
        self.fd = os.memfd_create("heapsee")
        os.ftruncate(self.fd, 4096)
        self.map = mmap.mmap(self.fd, 4096)

    def set(self, **values):
        for name, value in values.items():
            if name in TEXTS:
                offset, capacity = TEXTS[name]
                data = value.encode()[:capacity]
                seq = struct.unpack_from("=I", self.map, offset)[0]
                struct.pack_into("=I", self.map, offset, seq + 1 | 1)
                self.map[offset + 8 : offset + 8 + len(data)] = data
                struct.pack_into("=II", self.map, offset, (seq | 1) + 1, len(data))
            else:
                offset, code = NUMBERS[name]
                struct.pack_into("=" + code, self.map, offset, value)

    def get(self, name):
        offset, code = NUMBERS[name]
        return struct.unpack_from("=" + code, self.map, offset)[0]


def start_time():
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])


def say(line):
    os.write(1, line.encode() + b"\n")


def hear():
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line.decode().strip()


def reach(state):
    page.set(state=STATES[state])
    if state in options.hold:
        say("at " + state)
        assert hear() == "go"


def lines(count):
    return b"".join(
        b'{"address": %d, "type": "dict", "size": 232, "len": 0, "refs": []}\n' % (4096 + 64 * i) for i in range(count)
    )


def publish(path):
    data = lines(options.objects)
    name = Path(path).name
    file = {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "lines": options.objects}
    wrong = options.wrong
    if wrong in ("sha256", "size", "lines"):
        file[wrong] = "0" * 64 if wrong == "sha256" else file[wrong] + 1
    if wrong == "longer":
        data += b"x" * 1000
    process = {"pid": own_pid + (wrong == "process"), "start_time_ticks": own_start_time}
    meta = json.dumps({"schema": "heapsee.dump-meta/1", "file": file, "process": process})
    if wrong == "json":
        meta = meta[:-2]
    if wrong != "sidecar":
        write(path + ".meta.json", meta.encode())
    if wrong == "symlink":
        write(path + ".elsewhere", data)
        Path(path).symlink_to(path + ".elsewhere")
    elif wrong == "fifo":
        os.mkfifo(path)
    elif wrong == "owner":
        write(path, data)
        os.chown(path, 4242, 4242)
    elif wrong != "missing":
        write(path, data)


def write(path, data):
    with open(path, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(data)


def end(outcome, **texts):
    page.set(**texts)
    page.set(child_pid=0, outcome=outcome, state=0, outcomes=(page.get("outcomes") << 1 | (outcome == 1)) % 2**64)
    page.set(finished=page.get("started"))
    say("ended")


def dump():
    if options.child:
        Path("/proc/self/comm").write_text("heapsee-dump")
        page.set(child_pid=os.getpid())
    reach("snapshot")
    reach("walking")
    page.set(objects=options.objects, bytes=len(lines(options.objects)))
    while options.outcome == "endless":
        page.set(objects=page.get("objects") + 1, bytes=page.get("bytes") + 4096)
        if select.select([0], [], [], 0.05)[0]:
            hear()
    if options.outcome == "failed":
        end(2, last_error=options.reason)
        return
    path = f"{options.directory}/meliae.{datetime.datetime.now().isoformat()}.{own_pid}.dump"
    if options.wrong == "name":
        path = options.directory + "/../meliae.x.1.dump"
    else:
        publish(path)
    reach("publishing")
    end(1, last_path=path)


def answer():
    if options.outcome == "silent":
        page.set(signals_ignored=page.get("signals_ignored") + 1)
        say("ignored")
        return
    page.set(signals=page.get("signals") + 1, objects=0, bytes=0, started_at=time.time_ns())
    page.set(state=STATES["waiting"], started=page.get("started") + 1)
    reach("waiting")
    if options.outcome == "refused":
        end(3, last_error=options.reason)
        return
    if not options.child:
        dump()
        return
    child = os.fork()
    if child == 0:
        dump()
        os._exit(0)
    os.waitpid(child, 0)


parser = argparse.ArgumentParser()
parser.add_argument("directory")
parser.add_argument("--signal", type=int, default=int(signal.SIGPROF))
parser.add_argument("--objects", type=int, default=1000)
parser.add_argument("--outcome", default="published", choices=["published", "failed", "refused", "silent", "endless"])
parser.add_argument("--reason", default="")
parser.add_argument("--hold", action="append", default=[])
parser.add_argument("--child", action="store_true")
parser.add_argument("--wrong", default="")
parser.add_argument("--title", default="")
parser.add_argument("--megabytes", type=int, default=0)
parser.add_argument("--block", default="ok", choices=["ok", "version", "disarmed", "taken", "stale", "nohandler", "garbage"])
parser.add_argument("--uid", type=int, help="change to that user, as a server that was started by root does")
parser.add_argument("--dumpable", action="store_true", help="after that, be as if started by that user")
options = parser.parse_args()

if options.uid is not None:
    os.chown(options.directory, options.uid, options.uid)
    os.setgroups([])
    os.setgid(options.uid)
    os.setuid(options.uid)
    if options.dumpable:
        assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0  # PR_SET_DUMPABLE

own_pid, own_start_time = os.getpid(), start_time()
ballast = bytearray(os.urandom(1 << 20) * options.megabytes)
page = Page()
page.set(
    version=1,
    pid=own_pid,
    start_time=own_start_time,
    signal=options.signal,
    armed=1,
    python="3.11.7",
    heapsee="0.1.0",
    mode="fork",
    directory=options.directory,
    gil_wait_ns=1500000,
    pause_ns=12300000,
)
page.set(magic=b"HEAPSEE\0")
if options.block == "version":
    page.set(version=7)
elif options.block == "disarmed":
    page.set(armed=0, signal=0)
elif options.block == "taken":
    page.set(armed=0)
elif options.block == "stale":
    page.set(start_time=own_start_time - 1)
elif options.block == "garbage":
    page.map[:] = os.urandom(4096)

if options.block != "nohandler":
    signal.signal(options.signal, lambda *_: None)
wake_read, wake_write = os.pipe()
os.set_blocking(wake_write, False)
signal.set_wakeup_fd(wake_write)
say("ready")
while True:
    # Nothing comes on stdin now but its end, when the test is over.
    readable = select.select([wake_read, 0], [], [])[0]
    if 0 in readable:
        break
    os.read(wake_read, 1)
    answer()
