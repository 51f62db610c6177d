"""A host of its own, made of this machine's programs, on which systemd is process 1: units run as they will run.

It has the units that it is given and no others, no network of its own, and no disk but memory. Needs root.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness import binaries, proc
from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

BOOT = Path(__file__).with_name("boot.sh")
NAMESPACES = ["--mount", "--pid", "--ipc", "--uts", "--cgroup"]
TARGETS = ["sysinit.target", "basic.target", "network-online.target", "multi-user.target", "shutdown.target"]


class Booted:
    """See the module's text. A context manager; `units` is a folder of units, `needs` are directories to have."""

    def __init__(self, folder: Path, units: Path, needs: Sequence[Path]) -> None:
        self.log = folder / "boot.log"
        self._units = units
        self._needs = needs
        self._process: subprocess.Popen[bytes] | None = None
        for target in TARGETS:
            (units / target).write_text("[Unit]\nDefaultDependencies=no\n")

    def __enter__(self) -> Booted:
        self._root = Path(tempfile.mkdtemp(prefix="heapsee-host-"))
        command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", str(BOOT), str(self._root), str(self._units)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *map(str, self._needs)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        try:
            wait_until("systemd to run", self._is_running)
        except BaseException as error:
            error.args = (f"{error}\n{self.log.read_text()[-3000:]}",)
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_running(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with {self._process.returncode}")
        if not proc.children(self._process.pid):
            return False
        return self.run("systemctl", "is-system-running").out.strip() in ("running", "degraded")

    @property
    def _first(self) -> int:
        """Its process 1, as this machine sees it."""
        assert self._process is not None
        (first,) = proc.children(self._process.pid)
        return first

    def path(self, path: str) -> Path:
        """A path of that host, as this machine sees it."""
        return Path(f"/proc/{self._first}/root{path}")

    def run(self, program: str, *arguments: str | Path) -> binaries.Done:
        """Runs a program on that host, as root."""
        inside = ["--target", str(self._first), *NAMESPACES, "--root", "--wd", "--"]
        return binaries.run(Path("nsenter"), *inside, program, *arguments)

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).check().out.strip()

    def close(self) -> None:
        """Ends all of it."""
        if self._process is None:
            return
        # Process 1 dies with it, and with process 1 all others.
        self._process.kill()
        self._process.wait()
        self._process = None
        with contextlib.suppress(OSError):
            self._root.rmdir()
