"""Specimens of the zoo in syntax that not every CPython knows; contexts; and calls suspended in odd places.

Sources are texts, each with the first version that has it.
"""

import asyncio
import contextlib
import contextvars
import sys
import types

import truth_zoo_newest

SOURCES = {
    (3, 10): """
import typing

P = typing.ParamSpec("P")
R = typing.TypeVar("R")

def matched(subject):
    match subject:
        case {"key": [first, *rest], **others}:
            yield first, rest, others

steps = matched({"key": [1, 2, [3]], "more": [4]})
next(steps)

def decorated(function: typing.Callable[P, R]) -> typing.Callable[typing.Concatenate[int, P], R]:
    return function

made = {
    "ParamSpec": P,
    "ParamSpec's arguments": P.args,
    "Concatenate": typing.Concatenate[int, P],
    "function with odd annotations": decorated,
    "generator within a match": steps,
    "pairwise": __import__("itertools").pairwise([1, [2]]),
    "anext with a default": None,
}
""",
    (3, 11): """
import asyncio
import typing

Ts = typing.TypeVarTuple("Ts")

class Row(typing.Generic[*Ts]):
    pass

def raised():
    try:
        raise ExceptionGroup("group", [ValueError([1]), ExceptionGroup("inner", [TypeError("t"), KeyError(2)])])
    except* TypeError as caught:
        kept = caught
    except* (ValueError, KeyError) as others:
        left = others
    return kept, left

def noted():
    error = ValueError("noted")
    error.add_note("a note")
    return error

kept, others = raised()
made = {
    "TypeVarTuple": Ts,
    "unpacked": typing.Unpack[Ts],
    "class of many variables": Row,
    "alias of many variables": Row[int, str],
    "unpacked alias": list(Row[int, str].__args__),
    "ExceptionGroup": ExceptionGroup("g", [OSError(1, "x")]),
    "ExceptionGroup that was split": kept,
    "what was left of it": others,
    "exception with notes": noted(),
    "TaskGroup": asyncio.TaskGroup(),
}
""",
    (3, 12): """
import itertools

type Pair[T] = tuple[T, list[Pair[T]]]

class Stack[T: (int, str), *Ts, **P]:
    def push[U](self, item: T, other: U) -> U:
        def inner():
            return T, U, __class__
        return inner

class Child(Stack[int, str, ...]):
    pass

def generic[T](argument: T) -> list[T]:
    local = [argument]
    return local

numbers = (x for x in [y for y in [[1], [2]]])
next(numbers)
buffered = memoryview(bytearray(10))
made = {
    "type alias": Pair,
    "type alias that was evaluated": (Pair.__value__, Pair)[1],
    "type alias with arguments": Pair[int],
    "class with type parameters": Stack,
    "its child": Child,
    "function with type parameters": generic,
    "type parameters": list(generic.__type_params__),
    "closure over type parameters": Stack().push(1, 2),
    "inlined comprehension": numbers,
    "batched": itertools.batched([1, 2, 3], 2),
}
""",
    (3, 13): """
import typing
import copy

class Defaulted[T = int]:
    def __init__(self):
        self.first, self.second = [1], None

with_dict = Defaulted()
kept = with_dict.__dict__
also = Defaulted()
also_dict = also.__dict__
also_dict["third"] = None
cut_loose = Defaulted().__dict__
swapped = Defaulted()
old = swapped.__dict__
swapped.__dict__ = {"new": [2]}
frame = (lambda local: __import__("sys")._getframe())([1])
made = {
    "class with a default": Defaulted,
    "default": typing.TypeVar("D", default=int),
    "instance and a dict of its values": with_dict,
    "a dict of an instance's values": kept,
    "instance whose dict got one more": also,
    "the dict that got one more": also_dict,
    "dict of a dead instance's values": cut_loose,
    "instance whose dict of values was replaced": swapped,
    "the dict that it had": old,
    "proxy of a frame's locals": frame.f_locals,
    "replaced": copy.replace(__import__("types").SimpleNamespace(a=1), b=[2]),
}
""",
}


def modern():
    """What this CPython's syntax and library have that the oldest do not."""
    made = {}
    for version, source in {**SOURCES, **truth_zoo_newest.SOURCES}.items():
        if sys.version_info >= version:
            # A module: classes and their type parameters look for the one they are of.
            module = types.ModuleType(f"modern_{version[1]}")
            sys.modules[module.__name__] = module
            exec(compile(source, module.__name__, "exec"), vars(module))
            made.update(module.made)
    return made


def contexts():
    """Contexts by the shape of their tree (a HAMT): bitmaps, an array, hashes that collide."""

    def of(variables):
        context = contextvars.Context()
        for number, variable in enumerate(variables):
            context.run(variable.set, [number])
        return context

    variables = [contextvars.ContextVar(f"variable {number}") for number in range(600)]
    emptied = of(variables[:40])
    token = emptied.run(variables[0].set, "for a moment")
    emptied.run(variables[0].reset, token)
    return {
        "Context, empty": contextvars.Context(),
        "Context of one": of(variables[:1]),
        "Context of twenty": of(variables[:20]),
        "Context of six hundred": of(variables),
        "Context after a reset": emptied,
        "Context, copied": of(variables[:3]).copy(),
        "Context's items": of(variables[:3]).items(),
        "Token of another value": token,
    }


@types.coroutine
def _pause():
    yield "paused"


class _Manager:
    async def __aenter__(self):
        await _pause()
        return ["entered"]

    async def __aexit__(self, *caught):
        # One that is thrown away must end at once.
        if caught[0] is not GeneratorExit:
            await _pause()

    def __enter__(self):
        return ["entered"]

    def __exit__(self, *caught):
        return False


async def _within(argument):
    with _Manager() as first, contextlib.ExitStack() as stack:
        stack.callback(len, [argument])
        async with _Manager() as second:
            await _pause()
        return first, second


async def _handling(argument):
    try:
        raise KeyError(argument)
    except KeyError as error:
        await _pause()
        return error


async def _source(argument, handled=ValueError):
    try:
        while True:
            received = yield [argument]
            await _pause()
            argument = received
    except handled:
        await _pause()
        raise


async def _consuming(argument):
    return [item async for item in _source(argument) if await _pause() is None]


def _chain(depth, argument):
    kept = [argument, depth]
    if depth:
        yield from _chain(depth - 1, kept)
    else:
        yield kept


def _advanced(coroutine, times):
    for _ in range(times):
        coroutine.send(None)
    return coroutine


def suspended():
    """Calls suspended in the middle of things."""
    chain = _chain(200, "argument")
    next(chain)
    looping = (pair for pair in ((x, y) for x in ([1], [2]) for y in "ab"))
    next(looping)
    sending = _source("s")
    with contextlib.suppress(StopIteration):
        sending.asend(None).send(None)
    asked = sending.asend(["received"])
    asked.send(None)
    closing = _source("c", GeneratorExit)
    with contextlib.suppress(StopIteration):
        closing.asend(None).send(None)
    closer = closing.aclose()
    closer.send(None)
    thrown = _source("t")
    with contextlib.suppress(StopIteration):
        thrown.asend(None).send(None)
    thrower = thrown.athrow(ValueError([1]))
    thrower.send(None)
    return {
        "chain of generators": chain,
        "generator expression within another": looping,
        "coroutine entering": _advanced(_within("w"), 1),
        "coroutine within a with statement": _advanced(_within("w"), 2),
        "coroutine leaving": _advanced(_within("w"), 3),
        "coroutine handling an exception": _advanced(_handling([1]), 1),
        "coroutine within an async comprehension": _advanced(_consuming([1]), 1),
        "asend under way": asked,
        "async generator that is sent to": sending,
        "aclose under way": closer,
        "athrow under way": thrower,
        "tasks": _tasks(),
    }


def _tasks():
    """Tasks of a loop that has stopped, waiting for each other in every way."""
    loop = asyncio.new_event_loop()
    kept = [loop]

    async def main():
        event, queue, lock = asyncio.Event(), asyncio.Queue(1), asyncio.Lock()
        await lock.acquire()
        kept.extend([event, queue, lock])
        waits = [event.wait(), lock.acquire(), asyncio.sleep(1000), asyncio.wait_for(event.wait(), 999)]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        kept.extend([asyncio.gather(*tasks), asyncio.shield(tasks[0])])
        tasks[0].add_done_callback(kept.append)
        await asyncio.sleep(0)
        loop.stop()
        await event.wait()

    kept.append(loop.create_task(main()))
    loop.run_forever()
    return kept
