"""A real S3 server on loopback that others wrote (moto), and a client for it in plain HTTP."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path

from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

PYTHON = Path(os.environ.get("HEAPSEE_DEPLOY_PYTHON") or "python3")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_REGION": "us-east-1"}
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Moto:
    """The server, with one bucket: a context manager. Its log goes to `folder`."""

    def __init__(self, folder: Path, bucket: str) -> None:
        self.bucket = bucket
        self.log = folder / "moto.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Moto:
        with self.log.open("wb") as log:
            # Port 0: the kernel chooses, and the server says which in its log.
            self._process = subprocess.Popen(
                [str(PYTHON), "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        try:
            self.url = wait_until("the S3 server to say where it is", self._address)
            self._ask("PUT", f"/{self.bucket}")
        except BaseException:
            self.__exit__()
            raise
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
            raise RuntimeError(f"the S3 server ended with {self._process.returncode}:\n{text[-2000:]}")
        _, found, rest = text.partition("Running on ")
        return rest.split()[0] if found and rest.split() else ""

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(self.url + path, method=method, data=b"" if method == "PUT" else None)
        with urllib.request.urlopen(request, timeout=60) as answer:
            body: bytes = answer.read()
            return body

    def keys(self) -> list[str]:
        """The names of all objects in the bucket."""
        listing = ET.fromstring(self._ask("GET", f"/{self.bucket}?list-type=2"))
        return [key.text or "" for key in listing.iter(f"{NAMESPACE}Key")]

    def get(self, key: str) -> bytes:
        """An object."""
        return self._ask("GET", f"/{self.bucket}/{urllib.parse.quote(key)}")
