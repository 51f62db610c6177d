"""One of the leaking applications behind a real server.

``/leak/FROM/TO`` is requests with these numbers, ``/facts`` says who serves.
"""

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
    _, what, *numbers = environ["PATH_INFO"].split("/")
    if what == "leak":
        APPLICATION.serve(range(int(numbers[0]), int(numbers[1])))
    body = json.dumps({"pid": os.getpid()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
