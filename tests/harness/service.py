"""A process group of ours — a server, a program — that listens on Unix sockets and never outlives its owner.

Knows how to start, watch and end it, and how to ask it over HTTP. What it is, its command says.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.gunicorn import TESTS, end_with_parent
from harness.waiting import wait_until

START_SECONDS = 120.0
Kind = TypeVar("Kind", bound="Service")
REPOSITORY = TESTS.parent


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket: no port that somebody else may take."""

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket instead of to the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def variables_of(file: Path) -> dict[str, str]:
    """The variables that an environment file sets, as systemd and docker read it."""
    lines = [line.strip() for line in file.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


class Service:
    """See the module's text. A context manager; `ready` is asked until it is true.

    `folder` is a short path, because a Unix socket's may not be long; ``dumps`` in it is the temporary directory of the
    processes, ``http`` the socket that they should listen on.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="heapsee-"))
        self.dumps = self.folder / "dumps"
        self.http = self.folder / "http"
        self.log = self.folder / "log"
        self.dumps.mkdir()
        self._command = [part.format(http=self.http, folder=self.folder) for part in command]
        self._env = {name: value.format(folder=self.folder) for name, value in env.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: Kind) -> Kind:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEAPSEE_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=TESTS,
                env={**kept, "TMPDIR": str(self.dumps), "PYTHONPATH": str(TESTS), **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        try:
            wait_until(f"{self._command} to be ready", self._is_ready, START_SECONDS)
        except BaseException as error:
            error.args = (f"{error}\n{self.log.read_text()[-3000:]}",)
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started: a master, mostly."""
        assert self._process is not None
        return self._process

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended with {self.process.returncode}")
        return self.ready()

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.get("/facts"))
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> Any:
        """One request; its answer. Raises `RuntimeError` when that is no answer."""
        connection = UnixConnection(self.http)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: status {response.status}: {body[:300]!r}")
            return json.loads(body)
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Asks it to end, as an operator does; its exit code. Taking longer is a failure."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def close(self) -> None:
        """Ends all of it, whatever state it is in, and removes its folder."""
        if self._process is None:
            return
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end(seconds=20)
        finally:
            # The session is its own: nobody else is in its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            shutil.rmtree(self.folder, ignore_errors=True)
