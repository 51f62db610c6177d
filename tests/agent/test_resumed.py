"""An upload of many parts is cut in the middle, then its agent is killed, and the next one sends only what is missing.

The server is s3rver: another than moto, in another language.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.test_forwarding import configuration, dump
from harness import binaries
from harness.s3rver import CREDENTIALS, S3rver
from harness.waiting import wait_until
from harness.wire import Wire

pytestmark = pytest.mark.s3rver

PART = 5 << 20
OBJECTS = 100_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3rver]:
    with S3rver(tmp_path, "dumps") as server:
        yield server


@pytest.fixture
def wire(server: S3rver) -> Iterator[Wire]:
    """The way to it."""
    wire = Wire(int(server.url.rpartition(":")[2]))
    yield wire
    wire.close()


def test_an_upload_is_gone_on_with_after_a_cut_and_a_killed_agent(tmp_path: Path, server: S3rver, wire: Wire) -> None:
    env = {**CREDENTIALS, "NO_PROXY": "127.0.0.1"}
    dump(tmp_path / "dumps", OBJECTS)
    config = configuration(tmp_path, f"http://127.0.0.1:{wire.port}", server.bucket)
    stored = Path(binaries.run(binaries.AGENT, "collect", "--config", config, env=env).check().out.strip())
    size = stored.stat().st_size
    parts = -(-size // PART)
    assert parts >= 6

    # The connection is cut in the middle of the third part.
    wire.let(2 * PART + PART // 2)
    done = binaries.run(binaries.AGENT, "ship", "--config", config, env=env)
    assert (done.code, "cannot be reached or is in trouble" in done.err) == (12, True), done.err
    upload = stored.parent / "upload.json"
    assert count_parts(upload) == 2

    # The next agent begins with the third part, and is killed in the middle of the fifth.
    wire.let(2 * PART + PART // 2, stalls=True)
    command = [str(binaries.AGENT), "ship", "--config", str(config)]
    with subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as agent:
        assert wire.reached.wait(60)
        wait_until("the fourth part to be noted", lambda: count_parts(upload) == 4)
        agent.kill()
    assert not server.digests()

    # And the last one sends the rest.
    wire.let(None)
    before = wire.sent
    binaries.run(binaries.AGENT, "ship", "--config", config, env=env).check()
    assert wire.sent - before < (parts - 4) * PART + PART // 2
    assert not upload.exists()
    manifest = json.loads((stored.parent / "manifest.json").read_text())
    place = stored.parent.relative_to(tmp_path / "store")
    found = server.digests()
    assert found[f"prod/eu/{place}/{stored.name}"] == manifest["stored"]["sha256"]
    assert {key.rpartition("/")[2] for key in found} == {stored.name, manifest["sidecar"], "manifest.json"}


def test_a_key_that_is_not_known_is_said_and_its_secret_is_not(tmp_path: Path, server: S3rver) -> None:
    secret = "a-secret-of-nobody's"
    dump(tmp_path / "dumps", 10)
    config = configuration(tmp_path, server.url, server.bucket)
    env = {**CREDENTIALS, "AWS_ACCESS_KEY_ID": "NOBODY", "AWS_SECRET_ACCESS_KEY": secret, "NO_PROXY": "127.0.0.1"}
    binaries.run(binaries.AGENT, "collect", "--config", config, env=env).check()
    done = binaries.run(binaries.AGENT, "ship", "--config", config, env=env)
    assert done.code == 12
    assert re.search("denies access|does not accept the credentials", done.err), done.err
    assert "InvalidAccessKeyId" in done.err
    assert secret not in done.out + done.err
    assert not server.digests()


def count_parts(upload: Path) -> int:
    """How many parts of the upload under way are noted."""
    current = json.loads(upload.read_text())["current"]
    return len(current["parts"]) if current else 0
