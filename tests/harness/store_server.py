"""An object store of others on loopback, as a process of its own: how it is started, found and ended."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

Server = TypeVar("Server", bound="StoreServer")


class StoreServer:
    """A server with one bucket: a context manager. Its log goes to `folder`."""

    NAME: ClassVar[str]

    def __init__(self, folder: Path, bucket: str) -> None:
        self.bucket = bucket
        self.log = folder / f"{self.NAME}.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self) -> Sequence[str]:
        """What starts it, on port 0: the kernel chooses, and the server says which in its log."""
        raise NotImplementedError

    def _told(self, log: str) -> str:
        """The URL that the log tells; empty if it does not yet."""
        raise NotImplementedError

    def _make_bucket(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Starts it and makes the bucket; leaves nothing behind if that fails."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        try:
            self.url = wait_until(f"{self.NAME} to say where it is", self._address)
            self._make_bucket()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self: Server) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _address(self) -> str:
        assert self._process is not None
        text = self.log.read_text()
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.NAME} ended with {self._process.returncode}:\n{text[-2000:]}")
        return self._told(text)
