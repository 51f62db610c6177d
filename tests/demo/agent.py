"""The agent's story, in a minute: a real gunicorn leaks, a rule fires, and the dump is in the bucket with its story.

The server, the agent and the S3 server (moto) are real processes on loopback; all that is made is in
``build/demo-agent``, and all processes are gone at the end, whatever happens.
"""

from __future__ import annotations

import hashlib
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from demo.screen import amount, bold, chapter, good, indented, show, typed
from demo.stage import ROOT, DemoError, perform, relative, run_agent
from harness import binaries, proc
from harness.daemon import Daemon
from harness.gunicorn import Gunicorn, Setting
from harness.moto import CREDENTIALS, Moto
from harness.waiting import wait_until

FOLDER = ROOT / "build" / "demo-agent"
BUCKET = "dumps"
PREFIX = "python"
LEAK_ABOVE_START = 40_000_000
"""How much the rule lets a worker grow, in bytes."""

CONFIG = """\
[ship]
url = "s3://{bucket}/{prefix}"
endpoint = "{endpoint}"
allow_http = true
region = "us-east-1"

[[rule]]
name = "fat"
trigger = "rss"
above = "{above}MB"
polls = 2
select = {{ command = "*demo.leaky*" }}
"""


def leak_until_dumped(server: Gunicorn, daemon: Daemon) -> dict[str, Any]:
    """Sends requests until a rule has fired; what the daemon says of the dump when it has ended."""

    def dumped() -> list[dict[str, Any]]:
        now = daemon.status()
        if not now["running"]:
            for _ in range(10):
                server.get("/grade")
        found: list[dict[str, Any]] = now["dumps"]
        return found

    dump = wait_until("the rule to fire", dumped, 120)[0]
    if dump["error"]:
        raise DemoError(f"the dump failed: {dump['error']}")
    return dump


def shipped(bucket: Moto) -> str:
    """Waits until a dump is in the bucket, its manifest last; the name of its folder."""

    def manifest() -> str:
        return next((key for key in bucket.names() if key.endswith("/manifest.json")), "")

    return wait_until("the dump to be in the bucket", manifest, 120).rpartition("/")[0]


def fetch(bucket: Moto, folder: str) -> Path:
    """Downloads a dump with its sidecar, and checks its digest against the manifest's."""
    manifest = json.loads(bucket.get(f"{folder}/manifest.json"))
    stored = manifest["stored"]
    place = FOLDER / "fetched"
    place.mkdir()
    for name in (stored["name"], manifest["sidecar"]):
        (place / name).write_bytes(bucket.get(f"{folder}/{name}"))
    dump: Path = place / stored["name"]
    if hashlib.sha256(dump.read_bytes()).hexdigest() != stored["sha256"]:
        raise DemoError("what is in the bucket is not what the manifest says")
    show(f"   {stored['name']}: {amount(stored['size'])}, SHA-256 as in the manifest: {good('whole')}")
    return dump


def show_metrics(daemon: Daemon) -> None:
    """The metrics that are not zero, without buckets."""
    url = f"http://{daemon.status()['metrics']}/metrics"
    typed("$ ", f"curl {url}")
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    plain = [line for line in lines if not line.startswith("#") and "_bucket{" not in line]
    indented("\n".join(line for line in plain if not line.endswith((" 0", " 0.0"))))


def tell() -> None:
    """The story."""
    chapter(1, "A server that leaks, an S3 server, and an agent with a rule")
    setting = Setting("sync", workers=2, app="demo.leaky:application")
    with Moto(FOLDER, BUCKET) as bucket, Gunicorn(FOLDER, setting) as server:
        above = (max(proc.rss(pid) for pid in server.workers()) + LEAK_ABOVE_START) // 1_000_000
        text = CONFIG.format(bucket=BUCKET, prefix=PREFIX, endpoint=bucket.url, above=above)
        daemon = Daemon(FOLDER / "agent", text, CREDENTIALS)
        show(f"   gunicorn {server.master} with workers {' and '.join(map(str, server.workers()))}, S3 at {bucket.url}")
        indented(text)
        run_agent("check-config", daemon.config)
        with daemon:
            chapter(2, "Requests come in, and a worker grows")
            dump = leak_until_dumped(server, daemon)
            show(f"   the rule {bold(dump['rule'])} fired: process {dump['pid']}, {dump['why']}")
            chapter(3, "The dump is in the bucket")
            folder = shipped(bucket)
            for key in bucket.names():
                show(f"   s3://{BUCKET}/{key}")
            fetched = fetch(bucket, folder)
            chapter(4, "What the agent says of it")
            run_agent("status", "--config", daemon.config)
            show_metrics(daemon)
            show()
            indented(daemon.log.read_text())
    chapter(5, "And what is in the dump")
    typed("$ ", f"heapsee summary {relative(fetched)}")
    summary = binaries.run(binaries.HEAPSEE, "summary", fetched).check().out
    indented(summary, 18, 1)
    if "Answer" not in summary:
        raise DemoError("the summary does not show what leaks")


if __name__ == "__main__":
    sys.exit(perform(FOLDER, tell))
