"""Many small leaks in one process, of the kinds that people report: ``python -m leaks.many FILE``.

None of them is one of those on servers: what they have in common is only that something is never let go of.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import io
import logging
import logging.handlers
import queue
import sqlite3
import sys
import traceback
import types
import weakref
import xml.etree.ElementTree
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import heapsee


@dataclass(frozen=True)
class Leak:
    """What must be said of it: a part of the path; what piles up, or is in that; and the function, if it is a call."""

    path: str
    holds: str
    count: int
    calls: str | None = None


AT_LEAST = 500_000
"""Each keeps more than this."""

LEAKS = [
    Leak("App.sessions", "Session", 1500),
    Leak("bus.subscribers['paid']", "View", 1500, calls="paid"),
    Leak("pool.cursors", "generator", 1500, calls="scan"),
    Leak("background", "RequestInfo", 900, calls="heartbeat"),
    Leak("watcher.references", "weakref", 9000),
    Leak("price → cache of lru_cache", "tuple", 1200),
    Leak("compiled", "function", 900),
    Leak("events", "list", 400),
    Leak("Latency.window.samples", "tuple", 5000),
    Leak("uploads", "_io.BytesIO", 300),
    Leak("handlers[0].buffer", "LogRecord", 2500),
    Leak("repository.answers", "sqlite3.Row", 6000),
    Leak("mailer.outbox.queue", "Mail", 2500),
    Leak("FormType.registry", "FormType", 400),
    Leak("client.pending", "_asyncio.Future", 1200),
    Leak("errors.last", "traceback", 1500),
    Leak("Audit.trail", "Entry", 7000),
    Leak("tenants", "Tenant", 150),
    Leak("index", "Document", 3000),
    Leak("Freed.head", "Buffer", 2000),
    Leak("add_tag.__defaults__[0]", "str", 15000),
    Leak("shop.cleanup", "tuple", 2000),
    Leak("feeds", "xml.etree.ElementTree.Element", 150),
    Leak("profiler.samples", "StackSummary", 500),
    Leak("plugin_", "module", 60),
    Leak("finalize._registry", "_Info", 2000, calls="close"),
]


class App:
    """A class attribute that is a dict."""

    sessions: ClassVar[dict[int, Session]] = {}


class Session:
    """What is kept of a visitor."""

    def __init__(self, number: int) -> None:
        self.cart = [f"article {number} {line}" for line in range(12)]


class Bus:
    """Whom to tell of what."""

    def __init__(self) -> None:
        self.subscribers: dict[str, list[Callable[[], None]]] = {}


class View:
    """Wants to be told, and never says that it no longer does."""

    def __init__(self, number: int) -> None:
        self.rows = [f"row {number} {line}" for line in range(12)]
        bus.subscribers.setdefault("paid", []).append(self.paid)

    def paid(self) -> None:
        self.rows.clear()


class Pool:
    """Cursors that nobody closes."""

    def __init__(self) -> None:
        self.cursors: list[Iterator[str]] = []


def scan(number: int) -> Iterator[str]:
    page = [f"row {number} {line}" for line in range(15)]
    yield from page


class RequestInfo:
    """What a request is about."""

    def __init__(self, number: int) -> None:
        self.headers = {f"x-{line}": f"{number} {line} " * 5 for line in range(12)}


class Watcher:
    """Weak references that stay when what they referred to is gone."""

    def __init__(self) -> None:
        self.references: list[weakref.ref[Session]] = []


@functools.cache
def price(lines: tuple[str, ...]) -> int:
    return len(lines)


class Latency:
    """A window without an end."""

    def __init__(self) -> None:
        self.samples: deque[tuple[int, dict[str, str]]] = deque()


class Repository:
    """Answers by question."""

    def __init__(self) -> None:
        self.answers: dict[int, list[sqlite3.Row]] = {}


class Mail:
    """A message."""

    __slots__ = ("body", "to")

    def __init__(self, number: int) -> None:
        self.to, self.body = f"{number}@example.org", f"{number} " * 100


class Mailer:
    """A queue that nobody empties."""

    def __init__(self) -> None:
        self.outbox: queue.Queue[Mail] = queue.Queue()


class FormType(type):
    """A class of classes that knows them all."""

    registry: ClassVar[list[FormType]] = []

    def __init__(cls, *arguments: Any) -> None:
        super().__init__(*arguments)
        FormType.registry.append(cls)


class Client:
    """Questions without answers."""

    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[None]] = {}

    async def call(self, number: int) -> None:
        """Waits for an answer that never comes; the question is kept with it."""
        question = [f"question {number} {line}" for line in range(12)]
        self.pending[number] = asyncio.get_running_loop().create_future()
        await self.pending[number]
        question.clear()


class Errors:
    """Exceptions with their tracebacks."""

    def __init__(self) -> None:
        self.last: list[Any] = []


Entry = namedtuple("Entry", "who what")


class Audit:
    """A class attribute that is a list."""

    trail: ClassVar[list[Entry]] = []


class Tenant:
    """One of many small owners."""

    def __init__(self) -> None:
        self.settings: dict[int, dict[int, str]] = defaultdict(dict)


class Document:
    """What is looked for."""

    def __init__(self, number: int) -> None:
        self.number, self.name, self.tags = number, f"document {number}", {f"tag {number % 7}"}


class Index:
    """The same documents three times."""

    def __init__(self) -> None:
        self.by_number: dict[int, Document] = {}
        self.by_name: dict[str, Document] = {}
        self.by_tag: dict[str, list[Document]] = defaultdict(list)


class Buffer:
    """A link of a chain."""

    __slots__ = ("data", "next")

    def __init__(self, following: Buffer | None) -> None:
        self.data, self.next = bytearray(600), following


class Freed:
    """The head of the chain."""

    head: ClassVar[Buffer | None] = None


def add_tag(tag: str, tags: list[str] = []) -> None:  # noqa: B006
    tags.append(tag)


class Shop:
    """Has a stack of what to do at its end."""

    def __init__(self) -> None:
        self.cleanup = ExitStack()


class Profiler:
    """Stacks of calls."""

    def __init__(self) -> None:
        self.samples: dict[int, list[traceback.StackSummary]] = defaultdict(list)


request: contextvars.ContextVar[RequestInfo] = contextvars.ContextVar("request")
bus, pool, watcher, repository, mailer, client = Bus(), Pool(), Watcher(), Repository(), Mailer(), Client()
errors, index, shop, profiler = Errors(), Index(), Shop(), Profiler()
Latency.window = Latency()  # type: ignore[attr-defined]
tenants = [Tenant() for _ in range(150)]
compiled: list[Callable[[], int]] = []
events: dict[str, list[tuple[str, int]]] = defaultdict(list)
uploads: OrderedDict[int, io.BytesIO] = OrderedDict()
feeds: dict[int, xml.etree.ElementTree.Element] = {}
background: list[asyncio.Task[None]] = []
log = logging.getLogger("leaks.jobs")
PLUGIN = "table = {str(number): [number] * 10 for number in range(150)}"


def close(lines: list[str]) -> None:
    """What is to be done at the end of the shop."""
    lines.clear()


def fail(number: int) -> None:
    body = [f"word {number} {line}" for line in range(10)]
    raise ValueError(len(body))


def deep(number: int, depth: int) -> None:
    if depth:
        deep(number, depth - 1)
    else:
        profiler.samples[number % 20].append(traceback.extract_stack())


def serve_objects() -> None:
    """What objects and containers of the application keep."""
    for number in range(1500):
        App.sessions[number] = Session(number)
        View(number)
        cursor = scan(number)
        next(cursor)
        pool.cursors.append(cursor)
    for number in range(3000):
        document = Document(number)
        index.by_number[number] = index.by_name[document.name] = document
        index.by_tag[next(iter(document.tags))].append(document)
    for number in range(12_000):
        tenants[number % 150].settings[number % 7][number] = f"setting {number}"
        events[f"user {number % 400}"].append((f"event {number}", number))
    for number in range(400):
        FormType(f"Form{number}", (), {f"field{line}": f"{number} {line}" for line in range(8)})
    for _ in range(2000):
        Freed.head = Buffer(Freed.head)
    for number in range(15_000):
        add_tag(f"a tag with a number, {number}")
    for number in range(7000):
        Audit.trail.append(Entry(f"user {number}", f"did {number}"))


def serve_library() -> None:
    """Containers and functions of the standard library."""
    session = Session(0)
    for number in range(9000):
        watcher.references.append(weakref.ref(session, list[Any]([f"session {number}"]).append))
    for number in range(1200):
        price(tuple(f"line {number} {line}" for line in range(12)))
    for number in range(900):
        names: dict[str, Any] = {}
        exec(f"def f():\n    '''{number} {'d' * 900}'''\n    return {number}\n", names)
        compiled.append(names["f"])
    for number in range(5000):
        Latency.window.samples.append((number, {"route": f"/{number}"}))  # type: ignore[attr-defined]
    for number in range(300):
        uploads[number] = io.BytesIO()
        uploads[number].write(bytes(8000))


def serve_jobs() -> None:
    """Its handlers, queues and databases."""
    log.addHandler(logging.handlers.MemoryHandler(10**9, flushLevel=100))
    log.setLevel(logging.INFO)
    log.propagate = False
    for number in range(2500):
        log.info("job %s done", number)
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    for number in range(60):
        rows = " union all ".join(f"select {number}, 'name {line}', '{'b' * 100}'" for line in range(100))
        repository.answers[number] = database.execute(rows).fetchall()
    for number in range(2500):
        mailer.outbox.put(Mail(number))


def serve_errors() -> None:
    """Its tracebacks, callbacks, documents and modules."""
    for number in range(1500):
        try:
            fail(number)
        except ValueError:
            errors.last.append(sys.exc_info())
    for number in range(500):
        deep(number, 12)
    for number in range(2000):
        shop.cleanup.callback({"number": number, "lines": [f"{number} {line}" for line in range(6)]}.clear)
        weakref.finalize(shop, close, [f"finalizer {number} {line}" for line in range(6)])
    for number in range(150):
        items = "".join(f"<item id='{number} {line}'><t>{line}</t></item>" for line in range(30))
        feeds[number] = xml.etree.ElementTree.fromstring(f"<feed>{items}</feed>")
    for number in range(60):
        module = types.ModuleType(f"plugin_{number}")
        sys.modules[module.__name__] = module
        exec(compile(PLUGIN, f"plugin_{number}.py", "exec"), module.__dict__)


async def serve_tasks(file: str) -> None:
    """What waits for ever; the process is dumped while it does."""

    async def heartbeat() -> None:
        await asyncio.Event().wait()

    async def handle(number: int) -> None:
        request.set(RequestInfo(number))
        background.append(asyncio.ensure_future(heartbeat()))

    for number in range(900):
        await asyncio.ensure_future(handle(number))
    for number in range(1200):
        # Kept by nothing but the answer that it waits for.
        asyncio.get_running_loop().call_soon(asyncio.ensure_future, client.call(number))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    heapsee.dump_all_objects(file)
    for waiting in [*background, *client.pending.values()]:
        waiting.cancel()


def main() -> None:
    """Leaks, and dumps."""
    serve_objects()
    serve_library()
    serve_jobs()
    serve_errors()
    gc.collect()
    asyncio.run(serve_tasks(sys.argv[1]))


if __name__ == "__main__":
    main()
