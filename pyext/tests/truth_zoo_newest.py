"""Specimens of the zoo that 3.14 and 3.15 have brought; like those of `truth_zoo_modern`, which makes them."""

SOURCES = {
    (3, 14): """
import annotationlib
import asyncio
import contextvars
import functools
import importlib.util
import sys
import types
import typing
from compression import zstd
from string.templatelib import Template

import truth_zoo_classes

def annotated(first: NotThere, second: list[int] = []) -> "a text":
    return first

class Fields:
    one: NotThere
    two: int = 2

class Evaluated:
    one: int
    two: list[str]

Evaluated.__annotations__
forward = annotationlib.get_annotations(annotated, format=annotationlib.Format.FORWARDREF)
from_class = annotationlib.get_annotations(Fields, format=annotationlib.Format.FORWARDREF)
value, width = [1], 7
template = t"plain {value!r:>{width}} and {truth_zoo_classes}"
interpreter = messages = None
# A frozen program has none.
if importlib.util.find_spec("_interpreters"):
    import concurrent.interpreters
    interpreter, messages = concurrent.interpreters.create(), concurrent.interpreters.create_queue()
    messages.put([1, "a"])
compressor = zstd.ZstdCompressor()
compressor.compress(b"abc" * 1000)
decompressor = zstd.ZstdDecompressor()
decompressor.decompress(zstd.compress(bytes(100_000)), max_length=10)
token = contextvars.ContextVar("with a token").set([1])

def returns_in_finally():
    try:
        yield [1]
    except ValueError, TypeError:
        yield [2]

paused = returns_in_finally()
next(paused)
paused.throw(TypeError("thrown"))

def waiting_for_each_other():
    loop = asyncio.new_event_loop()
    kept = [loop]

    async def inner():
        await asyncio.sleep(1000)

    async def main():
        first = loop.create_task(inner())
        # Both wait for the same: it has a set of those.
        second, third = loop.create_task(wait_for(first)), loop.create_task(wait_for(first))
        kept.extend([first, second, third])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.stop()
        await asyncio.gather(second, third)

    async def wait_for(task):
        return await task

    kept.append(loop.create_task(main()))
    loop.run_forever()
    return kept

waiting = waiting_for_each_other()
made = {
    "function with annotations of later": annotated,
    "its annotate function": annotated.__annotate__,
    "its forward references": forward,
    "ForwardRef of a function": forward["first"],
    "ForwardRef of a class": from_class["one"],
    "class with annotations of later": Fields,
    "class with annotations evaluated": Evaluated,
    "template": template,
    "interpolation": template.interpolations[0],
    "template's iterator": iter(template),
    "template without interpolations": t"plain",
    "template joined": template + t"{value}",
    "Interpreter": interpreter,
    "queue between interpreters": messages,
    "ZstdCompressor": compressor,
    "ZstdDecompressor within a frame": decompressor,
    "ZstdDict": zstd.train_dict([b"%d of many %d" % (i, i) for i in range(2000)], 1000),
    "zstd options": zstd.CompressionParameter.window_log.bounds(),
    "Union of many": int | str | list[int],
    "Union by typing": typing.Union[int, "NotThere"],
    "partial with a placeholder": functools.partial(len, functools.Placeholder, [1]),
    "generator that caught": paused,
    "Token as a manager": token,
    "tasks that wait for one": waiting,
    "the task that they wait for": waiting[1],
    "instance of ctypes.py_object": __import__("ctypes").py_object([1]),
    "TypeVar, attributes after all": typing.TypeVar("Late", bound="NotThere"),
}
""",
    (3, 15): """
lazy import colorsys
lazy from wave import open as wave_open
lazy import xml.sax.saxutils
import types
import weakref

class Sub(frozendict):
    pass

class Slotted(frozendict):
    __slots__ = ("first", "second", "__weakref__")

class Both(Sub):
    __slots__ = ("third",)

class Listener(frozendict):
    def __init__(self, *_, **__):
        self.heard = []

    def __len__(self):
        raise RuntimeError("len of a listener")

    __iter__ = keys = items = __hash__ = __eq__ = __len__

def with_attributes(item, **attributes):
    for name, value in attributes.items():
        setattr(item, name, value)
    return item

nested = frozendict(a=frozendict(b=frozendict({1: [2]})), c=[3])
mixed = frozendict({"a": 1, 2: "b", (3,): [3]})
plain = with_attributes(Sub(a=None, b=[2]), x=None, y=[1])
asked = with_attributes(Sub(a=[1]), x=[2])
asked_for = asked.__dict__
itself = Sub(k=None, mine=Sub)
itself.self = itself
slotted = with_attributes(Slotted({"a": None, 1: [1]}), first=None)
referred = weakref.ref(slotted)
Missing, Local = sentinel("Missing"), (lambda: sentinel("Local"))()

def lazies():
    return {key: value for key, value in dict.items(globals()) if type(value) is types.LazyImportType}

made = {
    "frozendict": frozendict(),
    "frozendict of one": frozendict(a=[]),
    "frozendict of frozendicts": nested,
    "frozendict with mixed keys": mixed,
    "frozendict of numbers": frozendict.fromkeys(range(300, 340)),
    "frozendict of untracked": frozendict(only="atoms", and_=1),
    "frozendict of equal values": frozendict(a=None, b=None),
    "frozendict of a dict": frozendict({str(i): i for i in range(200)}),
    "frozendict that was hashed": frozendict(a=1),
    "frozendict subclass": Sub(a=1, b=[2]),
    "frozendict subclass with attributes": plain,
    "frozendict subclass whose dict was asked for": asked,
    "the dict of that": asked_for,
    "frozendict subclass that refers to itself": itself,
    "frozendict subclass with slots": slotted,
    "its weak reference": referred,
    "frozendict subclass with slots and attributes": with_attributes(Both({2: None}), third=[1], x=None),
    "frozendict subclass that listens": Listener(a=[1]),
    "frozendict merged": nested | {"d": [4]},
    "frozendict keys": mixed.keys(),
    "frozendict items": mixed.items(),
    "frozendict iterator": iter(mixed.items()),
    "frozendict reversed": reversed(mixed),
    "mappingproxy of a frozendict": types.MappingProxyType(mixed),
    "sentinel": Missing,
    "sentinel of a function": Local,
    "lazy imports": lazies(),
    **{f"lazy import {key}": value for key, value in lazies().items()},
    "unpacked within a comprehension": (*part for part in [[1, [2]], [3]]),
}
hash(made["frozendict that was hashed"])
next(made["unpacked within a comprehension"])
""",
}
