"""A real gunicorn with the tests' application, on a loopback port of its own, which never outlives its owner."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import proc
from harness.waiting import wait_until

TESTS = Path(__file__).resolve().parents[1]
DEPLOYED_CONFIG = TESTS.parent / "deploy" / "gunicorn" / "gunicorn.conf.py"
START_SECONDS = 120.0
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Has the kernel end this process when its parent dies, even if that is killed. Run between fork and exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(frozen=True)
class Setting:
    """How the server runs.

    `arm` says who arms heapsee: ``import`` (the application), ``post_fork`` (our configuration file) or ``none``.
    """

    worker_class: str = "sync"
    preload: bool = False
    arm: str = "post_fork"
    workers: int = 2
    threads: int = 4
    objects: int = 20_000
    app: str = "harness.app:application"
    env: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        """The command line behind ``python -m gunicorn``."""
        arguments = ["--config", str(DEPLOYED_CONFIG)] if self.arm == "post_fork" else []
        arguments += ["--worker-class", self.worker_class, "--workers", str(self.workers), "--keep-alive", "60"]
        if self.worker_class == "gthread":
            arguments += ["--threads", str(self.threads)]
        if self.preload:
            arguments += ["--preload"]
        return [*arguments, self.app]


class Gunicorn:
    """The server: a context manager. `folder` gets its log, its pid file and, in ``dumps``, what its workers dump."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.setting = setting
        self.folder = folder
        self.log = folder / "gunicorn.log"
        self.pidfile = folder / "gunicorn.pid"
        self.dumps = folder / "dumps"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Gunicorn:
        self.dumps.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
            wait_until("every worker to serve and to be armed", self._ready, START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        """Starts the master. It inherits a socket that listens already, so no port can be taken in between."""
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, self.log.open("wb") as log:
            self.port = listener.getsockname()[1]
            descriptor = listener.fileno()
            command = [sys.executable, "-m", "gunicorn", *self.setting.arguments()]
            self._process = subprocess.Popen(
                [*command, "--bind", f"fd://{descriptor}", "--pid", str(self.pidfile)],
                cwd=TESTS,
                env={
                    **os.environ,
                    "OBJECTS": str(self.setting.objects),
                    "ARM": self.setting.arm,
                    "TMPDIR": str(self.dumps),
                    "PYTHONPATH": str(TESTS),
                    **self.setting.env,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[descriptor],
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    @property
    def master(self) -> int:
        """The master's pid."""
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The workers' pids."""
        return proc.children(self.master)

    def get(self, path: str) -> dict[str, Any]:
        """One request outside of any load; the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def _ready(self) -> bool:
        """Whether every worker has answered a request and, if it is to be armed, is."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"gunicorn ended with {self._process.returncode}:\n{self.log.read_text()[-3000:]}")
        workers = self.workers()
        if len(workers) != self.setting.workers:
            return False
        if self.setting.arm != "none" and not all(proc.catches(pid, signal.SIGPROF) for pid in workers):
            return False
        seen: set[int] = set()
        for _ in range(50 * len(workers)):
            seen.add(self.get("/facts")["pid"])
            if seen >= set(workers):
                return True
        return False

    def stop(self) -> None:
        """Ends the server, all of it, whatever state it is in."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=20)
        finally:
            # The session is the server's own: nobody else is in its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
