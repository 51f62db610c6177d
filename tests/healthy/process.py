"""Processes in which nothing leaks: ``python -m healthy.process NAME FILE…`` makes one, and dumps it once a file.

Before each dump the process works: each round does the same as the one before, and lets go of what it made.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import heapsee

# Modules that do something when they are imported, want a screen, or are for the developers of Python.
LEFT_OUT = {"antigravity", "idlelib", "lib2to3", "pip", "site", "test", "this", "tkinter", "turtle", "turtledemo"}
# Subpackages that programs import by themselves.
BELOW = (
    "asyncio.subprocess",
    "concurrent.futures.process",
    "concurrent.futures.thread",
    "email.mime.multipart",
    "http.server",
    "importlib.metadata",
    "importlib.resources",
    "json.tool",
    "logging.config",
    "logging.handlers",
    "multiprocessing.managers",
    "multiprocessing.pool",
    "unittest.mock",
    "urllib.request",
    "wsgiref.simple_server",
    "xml.dom.minidom",
    "xml.etree.ElementTree",
    "xml.sax.expatreader",
    "xmlrpc.server",
)

Round = Callable[[], object]


def of_the_standard_library() -> list[str]:
    """The names of its modules, as far as they can be imported without a consequence."""
    # Since 3.10 Python has the list.
    known = getattr(sys, "stdlib_module_names", None)
    names = set(known or {found.name for found in pkgutil.iter_modules([str(Path(os.__file__).parent)])})
    private = {name for name in names if name.startswith("_")}
    return [*sorted(names - private - LEFT_OUT - {"site-packages"}), *BELOW]


def standard_library() -> Round:
    """As much of the standard library as there is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in of_the_standard_library():
            try:
                importlib.import_module(name)
            except ImportError:
                # Of another system, or built without.
                continue
    import decimal
    import email.message
    import linecache
    import re
    import sqlite3
    import xml.etree.ElementTree as ElementTree

    logging.basicConfig(level=logging.WARNING)
    # What any process has that has formatted tracebacks.
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None) or ""
        if path.endswith(".py"):
            linecache.getlines(path)

    def work() -> None:
        message = email.message.EmailMessage()
        message["Subject"] = "a letter"
        message.set_content("text")
        document = ElementTree.fromstring("<a>" + "<b c='d'>e</b>" * 100 + "</a>")
        database = sqlite3.connect(":memory:")
        database.execute("create table t (a, b)")
        database.executemany("insert into t values (?, ?)", [(number, str(number)) for number in range(1000)])
        rows = database.execute("select * from t").fetchall()
        database.close()
        assert json.loads(json.dumps([row[1] for row in rows]))[-1] == "999"
        assert re.sub(r"[a-z]+", "", str(message)) != ElementTree.tostring(document, "unicode")
        assert decimal.Decimal("0.1") * 3 == decimal.Decimal("0.3")

    return work


def django() -> Round:
    """A site with an administration, tables and rows; each round asks for a page."""
    from oracle import django_heap

    client = django_heap.use()[0]
    return lambda: [client.get("/") for _ in range(3)]


def sqlalchemy() -> Round:
    """Mapped classes and rows; each round is a transaction of a session of its own."""
    from sqlalchemy import orm

    from oracle import app_heap

    engine, _, loaded, query = app_heap.orm()
    author = type(loaded[0])

    def work() -> None:
        with orm.Session(engine) as session:
            assert len(session.query(author).options(orm.selectinload(author.books)).all()) == 50
            assert session.execute(query).fetchall()

    return work


def fastapi() -> Round:
    """An application with validated models and a schema; each round is a request, without a server."""
    import fastapi
    import pydantic

    order_model = pydantic.create_model("Order", name=(str, ...), items=(list[int], ...))
    app = fastapi.FastAPI()
    for number in range(20):

        def create(order: Any) -> dict[str, int]:
            return {order.name: sum(order.items)}

        # Above they are texts, which FastAPI would look for among globals.
        create.__annotations__ = {"order": order_model, "return": dict[str, int]}
        app.post(f"/orders/{number}")(create)
    app.openapi()
    body = json.dumps({"name": "total", "items": list(range(100))}).encode()
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/orders/7",
        "raw_path": b"/orders/7",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def request() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(dict(scope), receive, send)
        return sent

    def work() -> None:
        for _ in range(5):
            start, end = asyncio.run(request())
            assert (start["status"], json.loads(end["body"])) == (200, {"total": 4950})

    return work


def pandas() -> Round:
    """Tables and arrays; each round makes figures of one."""
    from oracle import app_heap

    table, *_ = held = app_heap.frames()

    def work() -> None:
        assert held
        table.groupby("kind", observed=True).number.sum()
        table.describe()
        table.sort_values("number").to_csv()

    return work


PROCESSES: dict[str, Callable[[], Round]] = {
    "standard_library": standard_library,
    "django": django,
    "fastapi": fastapi,
    "pandas": pandas,
    "sqlalchemy": sqlalchemy,
}


def main() -> None:
    """Makes the process, has it work, dumps it."""
    name, *files = sys.argv[1:]
    work = PROCESSES[name]()
    for file in files:
        work()
        heapsee.dump_all_objects(file)


if __name__ == "__main__":
    main()
