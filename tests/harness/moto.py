"""A real S3 server on loopback and a client for it, neither of them ours (moto, boto3)."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from pathlib import Path

from harness.store_server import StoreServer

PYTHON = Path(os.environ.get("HEAPSEE_DEPLOY_PYTHON") or "python3")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_REGION": "us-east-1"}
CLIENT = """
import sys, boto3
url, bucket, *key = sys.argv[1:]
client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
if key:
    client.download_fileobj(bucket, key[0], sys.stdout.buffer)
else:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    print("\\n".join(found["Key"] for page in pages for found in page.get("Contents", [])))
"""


class Moto(StoreServer):
    """The server, with one bucket: a context manager. Its log goes to `folder`."""

    NAME = "moto"

    def _command(self) -> list[str]:
        return [str(PYTHON), "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]

    def _told(self, log: str) -> str:
        _, found, rest = log.partition("Running on ")
        return rest.split()[0] if found and rest.split() else ""

    def _make_bucket(self) -> None:
        request = urllib.request.Request(f"{self.url}/{self.bucket}", method="PUT", data=b"")
        urllib.request.urlopen(request, timeout=60).close()

    def _client(self, *key: str) -> bytes:
        command = [str(PYTHON), "-c", CLIENT, self.url, self.bucket, *key]
        done = subprocess.run(command, env={**os.environ, **CREDENTIALS}, capture_output=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the bucket does not answer: {done.stderr.decode()[-1000:]}")
        return done.stdout

    def names(self) -> list[str]:
        """The names of all objects in the bucket."""
        return self._client().decode().split()

    def get(self, key: str) -> bytes:
        """An object."""
        return self._client(key)
