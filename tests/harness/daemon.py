"""The agent's daemon as a test or a demo runs it: with a configuration of its own, ended as systemd would end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import binaries
from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

HARMLESS = """\
[limits]
# A test's machine may be small and busy.
min_memory = "1%"
min_disk = "1%"
max_memory_pressure = "100%"
max_io_pressure = "100%"
max_share = "100%"
share_window = "0s"

[intake]
# Dumps that others ask for on this machine are theirs.
watch = false

[metrics]
listen = "127.0.0.1:0"
"""

NOBODY = 4194305
"""A pid that no kernel gives out."""
NO_SUCH_PROCESS = 3


class Daemon:
    """``heapsee-agent run``: a context manager. Configuration, state, store and log are in `folder`."""

    def __init__(self, folder: Path, more: str, env: Mapping[str, str] | None = None, poll: str = "1s") -> None:
        self.config = folder / "agent.toml"
        self.log = folder / "agent.log"
        self.store = folder / "store"
        self.env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[agent]\npoll = "{poll}"\nstate = "{folder}/state"\nsocket = "{folder}/agent.sock"\n\n'
            f'[store]\ndirectory = "{self.store}"\n\n[retention]\nkeep_free = "1%"\n\n{HARMLESS}\n{more}'
        )

    def __enter__(self) -> Daemon:
        self._start()
        return self

    def _start(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(binaries.AGENT), "run", "--config", str(self.config)],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        try:
            wait_until("the agent to run", self._is_running)
        except BaseException:
            self._kill()
            raise

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=60)
                assert code == 0 or kind is not None, f"the agent ended with {code}:\n{self.log.read_text()[-3000:]}"
        finally:
            self._kill()

    def crash(self) -> None:
        """It is killed, and started again."""
        self._kill()
        self._start()

    def reload(self) -> None:
        """Has it read its configuration anew."""
        os.kill(self.pid, signal.SIGHUP)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _is_running(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the agent ended with {self._process.returncode}:\n{self.log.read_text()[-3000:]}")
        return "running version=" in self.log.read_text()

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        done = binaries.run(binaries.AGENT, "status", "--config", self.config, "--json").check()
        answer: dict[str, Any] = json.loads(done.out)
        return answer

    def ask(self, verb: str, **more: object) -> dict[str, Any]:
        """Its answer at the control socket, without the program that people ask it with: for those who ask often."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(60)
            line.connect(str(self.config.with_name("agent.sock")))
            line.sendall(json.dumps({"do": verb, **more}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().read())
        return answer

    def look(self) -> None:
        """Has it look at the workers at once: it does before it says that there is no such process."""
        answer = self.ask("dump", pid=NOBODY)
        assert answer["exit"] == NO_SUCH_PROCESS, answer

    def metrics(self) -> str:
        """Its metrics, as OpenMetrics' text."""
        with urllib.request.urlopen(f"http://{self.status()['metrics']}/metrics", timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def dumps(self) -> list[dict[str, Any]]:
        """The dumps that it has taken, or tried to."""
        dumps: list[dict[str, Any]] = self.status()["dumps"]
        return dumps
