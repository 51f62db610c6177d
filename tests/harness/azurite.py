"""A real Azure storage server on loopback and a client for it, neither of them ours (Azurite, Azure's own SDK)."""

from __future__ import annotations

import os
import re

from azure.storage.blob import ContainerClient

from harness.store_server import StoreServer

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Not a secret: everybody's Azurite has it. It checks signatures that were made with it."""
WHERE = re.compile(r"successfully listens on (http://127\.0\.0\.1:\d+)")


class Azurite(StoreServer):
    """The server, with one container: a context manager. Its log goes to `folder`."""

    NAME = "azurite"

    def _command(self) -> list[str]:
        # It would tell its makers of each start.
        options = ["--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
        return [os.environ["HEAPSEE_AZURITE"], *options]

    def _told(self, log: str) -> str:
        found = WHERE.search(log)
        return f"{found.group(1)}/{ACCOUNT}" if found else ""

    def _make_bucket(self) -> None:
        self._client.create_container()

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
