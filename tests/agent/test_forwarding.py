"""Dumps of a real worker go to an S3 server of others', whole; and encrypted, others can read them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from age.exceptions import NoIdentity
from age.file import Decryptor
from age.keys.agekey import AgePrivateKey
from moto.server import ThreadedMotoServer

from harness import binaries

WORKER = Path(__file__).with_name("worker.py")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_DEFAULT_REGION": "us-east-1"}


def dump(directory: Path, objects: int) -> Path:
    """Has a worker write a dump, asked by a signal; its path."""
    directory.mkdir(exist_ok=True)
    subprocess.run([os.environ["HEAPSEE_WORKER_PYTHON"], WORKER, directory, str(objects)], check=True, timeout=120)
    (path,) = directory.glob("*.dump")
    return path


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> Any:
    """A new bucket, through the client that everybody has."""
    s3 = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="hush",
        region_name="us-east-1",
    )
    return s3.create_bucket(Bucket=f"dumps-{os.urandom(4).hex()}")


def agent(*arguments: str | Path) -> binaries.Done:
    """Runs the agent with the credentials of the S3 server."""
    return binaries.run(binaries.AGENT, *arguments, env={**CREDENTIALS, "NO_PROXY": "127.0.0.1"})


def configuration(tmp_path: Path, endpoint: str, bucket: str) -> Path:
    """Stores dumps as they are, so that they are of several parts, and ships them."""
    path = tmp_path / "agent.toml"
    path.write_text(
        f"""
        [store]
        directory = "{tmp_path}/store"
        compression = "none"
        [intake]
        watch = false
        directories = ["{tmp_path}/dumps"]
        [retention]
        keep_free = "0B"
        [ship]
        url = "s3://{bucket}/prod/eu"
        endpoint = "{endpoint}"
        allow_http = true
        part_size = "5MiB"
        """
    )
    return path


def test_a_dump_of_several_parts_arrives_whole(tmp_path: Path, endpoint: str, bucket: Any) -> None:
    original = dump(tmp_path / "dumps", 40_000)
    digest, size = hashlib.sha256(original.read_bytes()).hexdigest(), original.stat().st_size
    assert size > 2 * 5 * 1024 * 1024
    config = configuration(tmp_path, endpoint, bucket.name)
    stored = Path(agent("collect", "--config", config).check().out.strip())
    assert not list((tmp_path / "dumps").iterdir())
    shipped = agent("ship", "--config", config).check()
    place = stored.parent.relative_to(tmp_path / "store")
    assert shipped.out.strip() == f"s3://{bucket.name}/prod/eu/{place}"
    found = {item.key: item for item in bucket.objects.all()}
    assert sorted(found) == sorted(
        f"prod/eu/{place}/{name}" for name in (stored.name, f"{stored.name}.meta.json", "manifest.json")
    )
    sent = found[f"prod/eu/{place}/{stored.name}"]
    assert sent.e_tag.strip('"').endswith(f"-{-(-size // (5 * 1024 * 1024))}"), "it was sent in one part"
    body = sent.get()["Body"].read()
    assert hashlib.sha256(body).hexdigest() == digest
    manifest = json.loads(found[f"prod/eu/{place}/manifest.json"].get()["Body"].read())
    assert manifest["dump"]["sha256"] == digest
    assert not list(bucket.multipart_uploads.all()), "an upload was left behind"
    # What came back is a dump that the analyzer reads.
    copy = tmp_path / "copy.dump"
    copy.write_bytes(body)
    assert binaries.summary(copy)["totals"]["objects"] == manifest["dump"]["lines"]
    again = agent("ship", "--config", config).check()
    assert again.out == ""


def test_a_bucket_that_is_not_there_is_said(tmp_path: Path, endpoint: str) -> None:
    dump(tmp_path / "dumps", 10)
    config = configuration(tmp_path, endpoint, "no-such-bucket")
    agent("collect", "--config", config).check()
    done = agent("ship", "--config", config)
    assert done.code == 12
    assert "NoSuchBucket" in done.err
    assert "create the bucket" in done.err
    assert "hush" not in done.err + done.out


def encrypted(dumps: Path, store: Path, keys: list[AgePrivateKey], suffix: str) -> Path:
    """Has the agent collect and encrypt the one dump that is there; the stored file with that suffix.

    Again and again, until the age of this test can read the header: the agent's adds a recipient that means nothing, to
    keep readers honest, and this one reads none without arguments, nor one whose text ends with a full line.
    """
    recipients = [word for key in keys for word in ("--encrypt-to", key.public_key().public_string())]
    for number in range(100):
        place = store / f"{suffix}-{number}"
        shutil.copytree(dumps, place / "originals")
        done = agent("collect", place / "originals", "--store", place, *recipients).check()
        assert not list((place / "originals").iterdir())
        (path,) = Path(done.out.strip()).parent.glob(f"*{suffix}")
        header = path.read_bytes().partition(b"--- ")[0]
        if not re.search(rb"\n\n|^-> \S+$", header, re.MULTILINE):
            return path
    raise AssertionError("a hundred times, and each time with a recipient that cannot be read")


def decrypted(path: Path, key: AgePrivateKey) -> bytes:
    """What is in an encrypted file, by an age that shares no code with the agent's."""
    plain: bytes = Decryptor([key], io.BytesIO(path.read_bytes())).read()
    return plain


def test_another_age_decrypts_what_was_encrypted(tmp_path: Path) -> None:
    original = dump(tmp_path / "dumps", 1000)
    text, sidecar = original.read_bytes(), Path(f"{original}.meta.json").read_bytes()
    keys = [AgePrivateKey.generate(), AgePrivateKey.generate()]
    stored = encrypted(tmp_path / "dumps", tmp_path, keys, ".zst.age")
    assert stored.name == f"{original.name}.zst.age"
    for path in stored.parent.iterdir():
        assert b"text 1" not in path.read_bytes()
    assert b"worker.py" not in (stored.parent / "manifest.json").read_bytes()
    sealed = encrypted(tmp_path / "dumps", tmp_path, keys, ".meta.json.age")
    for key in keys:
        plain = tmp_path / "plain.dump.zst"
        plain.write_bytes(decrypted(stored, key))
        assert binaries.summary(plain)["totals"]["objects"] == text.count(b"\n")
        assert decrypted(sealed, key) == sidecar
    with pytest.raises(NoIdentity):
        decrypted(stored, AgePrivateKey.generate())
