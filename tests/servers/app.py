"""The application of the servers' tests, for WSGI and ASGI: ``/facts``, and ``/moment/NAME?PLACE``.

``ARM=import`` has it install heapsee while it is imported; otherwise it knows nothing of it. ``GROW=100000`` gives it
that many objects more to be dumped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import unquote

from servers.moments import live_through

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

if os.environ.get("ARM") == "import":
    import heapsee

    heapsee.install_memory_dumper()

KEPT = [str(number) for number in range(int(os.environ.get("GROW", "0")))]


def facts() -> dict[str, Any]:
    """What a test must know about this worker."""
    module = sys.modules.get("heapsee")
    return {"pid": os.getpid(), "status": module.status() if module else None}


def answer(path: str, query: str) -> bytes:
    """One request."""
    if path.startswith("/moment/"):
        live_through(path.rpartition("/")[2], unquote(query))
    return json.dumps(facts()).encode()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """For gunicorn and uWSGI."""
    body = answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


Message = MutableMapping[str, Any]


async def asgi(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """For uvicorn. It lives through its moments on the event loop: nothing is worse."""
    if scope["type"] != "http":
        return
    await receive()
    body = answer(scope["path"], scope["query_string"].decode())
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
