"""A heap of many makers: an ORM, data frames, arrays, validated models, a server in flight, C structures.

Much of it is made by C and Cython code with types, traverses and sizes of its own: what a walk has to get right without
knowing any of them.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
from typing import Any, Callable

from oracle.in_flight import InFlight


def orm() -> list[Any]:
    """SQLAlchemy: mapped classes with a relation, an identity map with rows in it, a pending object, a query."""
    import sqlalchemy
    from sqlalchemy import orm

    registry = orm.registry()
    metadata = registry.metadata
    authors = sqlalchemy.Table(
        "author",
        metadata,
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.String(80)),
    )
    books = sqlalchemy.Table(
        "book",
        metadata,
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("title", sqlalchemy.String(80)),
        sqlalchemy.Column("author_id", sqlalchemy.ForeignKey("author.id")),
    )

    class Author:
        def __init__(self, name: str) -> None:
            self.name = name

    class Book:
        def __init__(self, title: str) -> None:
            self.title = title

    registry.map_imperatively(Author, authors, properties={"books": orm.relationship(Book, backref="author")})
    registry.map_imperatively(Book, books)
    engine = sqlalchemy.create_engine("sqlite://")
    metadata.create_all(engine)
    session = orm.Session(engine)
    for number in range(50):
        author = Author(f"author {number}")
        session.add(author)
        author.books.extend(Book(f"book {number} of {volume}") for volume in range(3))  # type: ignore[attr-defined]
    session.commit()
    loaded = session.query(Author).options(orm.selectinload(Author.books)).all()  # type: ignore[attr-defined]
    session.add(Author("pending"))
    return [engine, session, loaded, sqlalchemy.select(books).where(books.c.title.like("book%"))]


def frames() -> list[Any]:
    """Of pandas and numpy: columns of objects, categories, times, groups; views, structured and object arrays."""
    import numpy
    import pandas

    table = pandas.DataFrame(
        {
            "text": [f"row {number}" for number in range(500)],
            "kind": pandas.Categorical([f"kind {number % 7}" for number in range(500)]),
            "when": pandas.date_range("2026-01-01", periods=500, freq="h"),
            "number": numpy.arange(500) * 1.5,
        }
    )
    groups = table.groupby("kind", observed=True)
    objects = numpy.array([{"a": 1}, ["b"], None, object()], dtype=object)
    structured = numpy.zeros(10, dtype=[("x", "f8"), ("y", "i4"), ("z", "O")])
    structured["z"] = [f"field {number}" for number in range(10)]
    generator = numpy.random.default_rng(7)
    return [table, groups, dict(iter(groups)), table["number"].rolling(3), objects, objects[1:], structured, generator]


def models() -> list[Any]:
    """Of pydantic and attrs: models within models, private attributes, validators; slotted and frozen classes."""
    import attrs
    import pydantic

    class Item(pydantic.BaseModel):
        name: str
        price: float = 1.0
        _seen: list[str] = pydantic.PrivateAttr(default_factory=list)

    class Order(pydantic.BaseModel):
        items: list[Item]
        notes: dict[str, str] = {}

    # The names of its fields are strings here; in a function their types have to be handed to pydantic.
    Item.model_rebuild(_types_namespace={"list": list})
    Order.model_rebuild(_types_namespace={"Item": Item, "list": list, "dict": dict})

    slotted: Any = attrs.make_class("Slotted", ["name", "items"], slots=True)
    frozen: Any = attrs.make_class("Frozen", ["of"], frozen=True)
    orders = [Order(items=[Item(name=f"item {number}")], notes={"n": str(number)}) for number in range(100)]
    return [orders, [frozen(slotted(f"slotted {number}", [number])) for number in range(100)]]


class Point(ctypes.Structure):
    """A structure of C's: its type has a metatype of its own."""

    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double), ("text", ctypes.c_char_p)]


def structures() -> list[Any]:
    """ctypes: structures, arrays, pointers, a callback, a function of C's, memory that others own."""
    points = (Point * 20)()
    points[3].text = b"a text that the array keeps"
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number + 1)
    buffer = ctypes.create_string_buffer(b"content", 100)
    function = ctypes.CDLL(None).strlen
    function.argtypes = [ctypes.c_char_p]
    pointer = ctypes.pointer(points[3])
    return [points, callback, buffer, function, pointer, memoryview(buffer), ctypes.cast(pointer, ctypes.c_void_p)]


class Server(InFlight):
    """asyncio in flight, on a thread of its own: connections half-way through a request, timers, tasks, futures."""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(line)
        # The rest of the request never comes.
        await reader.readexactly(1000)

    async def _serve(self) -> None:
        self.end = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self.clients = [await asyncio.open_connection(host, port) for _ in range(10)]
        for reader, writer in self.clients:
            writer.write(b"half a request\n")
            assert await reader.readline() == b"half a request\n"
        self.timers = [self.loop.call_later(3600, functools.partial(print, number)) for number in range(20)]
        self.tasks = [asyncio.ensure_future(self._wait_for(number)) for number in range(20)]
        await asyncio.sleep(0)
        self.loop.call_soon(self.ready.set)
        await self.end.wait()

    async def _wait_for(self, number: int) -> None:
        local = [f"waiting {number}"]
        await asyncio.shield(asyncio.gather(*[self.end.wait() for _ in range(3)]))
        local.clear()


def use() -> list[Any]:
    """Everything above, held."""
    makers: list[Callable[[], Any]] = [orm, frames, models, structures, Server]
    return [make() for make in makers]
