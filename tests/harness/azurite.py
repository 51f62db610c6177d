"""A real Azure storage server on loopback and a client for it, neither of them ours (Azurite, Azure's own SDK)."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from azure.storage.blob import ContainerClient

from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Not a secret: everybody's Azurite has it. It checks signatures that were made with it."""
WHERE = re.compile(r"successfully listens on (http://127\.0\.0\.1:\d+)")


class Azurite:
    """The server, with one container: a context manager. Its log goes to `folder`."""

    def __init__(self, folder: Path, bucket: str) -> None:
        self.bucket = bucket
        self.log = folder / "azurite.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Azurite:
        # Port 0: the kernel chooses, and the server says which. It would tell its makers of each start.
        options = ["--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [os.environ["HEAPSEE_AZURITE"], *options],
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        try:
            self.url = wait_until("Azurite to say where it is", self._address) + f"/{ACCOUNT}"
            self._client.create_container()
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
            raise RuntimeError(f"Azurite ended with {self._process.returncode}:\n{text[-2000:]}")
        found = WHERE.search(text)
        return found.group(1) if found else ""

    @property
    def _client(self) -> ContainerClient:
        return ContainerClient(self.url, self.bucket, credential={"account_name": ACCOUNT, "account_key": KEY})

    def names(self) -> list[str]:
        """The names of all objects in the container."""
        return list(self._client.list_blob_names())

    def get(self, key: str) -> bytes:
        """An object."""
        found: bytes = self._client.download_blob(key).readall()
        return found
