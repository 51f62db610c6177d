"""Another S3 server that others wrote, in another language (s3rver, of npm's). It keeps what it gets in files."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from harness.store_server import StoreServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER", "AWS_REGION": "us-east-1"}
"""Not a secret: everybody's s3rver has them."""
WHERE = re.compile(r"listening on .*?:(\d+)")


class S3rver(StoreServer):
    """The server, with one bucket: a context manager. Its log and its files are in `folder`."""

    NAME = "s3rver"

    def _command(self) -> list[str]:
        place = ["--address", "127.0.0.1", "--port", "0", "--directory", str(self.files)]
        return [os.environ["HEAPSEE_S3RVER"], *place, "--configure-bucket", self.bucket]

    def _told(self, log: str) -> str:
        found = WHERE.search(log)
        return f"http://127.0.0.1:{found.group(1)}" if found else ""

    def _make_bucket(self) -> None:
        """It was told to."""

    @property
    def files(self) -> Path:
        """Where it keeps its files."""
        return self.log.parent / "s3rver"

    def digests(self) -> dict[str, str]:
        """SHA-256 of each object, by key."""
        root = self.files / self.bucket
        objects = [path for path in root.rglob("*._S3rver_object") if ".uploads" not in str(path.relative_to(root))]
        keys = {path: str(path.relative_to(root)).removesuffix("._S3rver_object") for path in objects}
        return {key: hashlib.sha256(path.read_bytes()).hexdigest() for path, key in keys.items()}
