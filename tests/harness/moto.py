"""A real S3 server on loopback and a client for it, neither of them ours (moto, boto3)."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from pathlib import Path

from harness.gunicorn import end_with_parent
from harness.waiting import wait_until

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
            request = urllib.request.Request(f"{self.url}/{self.bucket}", method="PUT", data=b"")
            urllib.request.urlopen(request, timeout=60).close()
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
