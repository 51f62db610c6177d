"""One of the leaking applications behind a real server: ``/leak`` does its requests, ``/facts`` says who serves."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

APPLICATION = importlib.import_module(f"leaks.{os.environ['LEAK']}")


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers with the worker's pid."""
    if environ["PATH_INFO"] == "/leak":
        APPLICATION.serve(APPLICATION.REQUESTS)
    body = json.dumps({"pid": os.getpid()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
