"""Specimens of the zoo that are code: functions, generators, exceptions."""

import asyncio
import contextlib
import contextvars
import functools
import operator
import sys
import types
import typing
import weakref

from truth_zoo_classes import (
    Property,
    Record,
    Rude,
    Slotted,
    attributed,
    plain,
)


def _counter(step):
    total = 0

    def count(amount=step, *, again=None):
        """Counts."""
        nonlocal total
        total += amount
        return again

    return count


def functions():
    """Functions, methods, descriptors, and what wraps them."""
    count = _counter(3)

    @functools.lru_cache(maxsize=5)
    def remembered(argument):
        return [argument]

    remembered(1)
    remembered("a")
    context = contextvars.copy_context()
    variable = contextvars.ContextVar("variable", default=[1])
    context.run(variable.set, "value")
    return {
        "function": plain,
        "function with a closure": count,
        "function with attributes": attributed(_counter(1), x=[1]),
        "lambda": lambda x, y=[]: (x, y),
        "cell": count.__closure__[0],
        "cell, empty": types.CellType(),
        "code": count.__code__,
        "builtin function": len,
        "builtin method": [].append,
        "method": Record("a").__eq__,
        "method of a class": Property.of_class,
        "method descriptor": str.join,
        "slot wrapper": object.__repr__,
        "method wrapper": (5).__add__,
        "member descriptor": Slotted.__dict__["first"],
        "getset descriptor": types.FunctionType.__dict__["__code__"],
        "partial": functools.partial(count, 1, again=[2]),
        "partial with attributes": attributed(functools.partial(len), x=[]),
        "partialmethod": functools.partialmethod(count),
        "lru_cache": remembered,
        "singledispatch": functools.singledispatch(_counter(2)),
        "property": Property.__dict__["value"],
        "cached_property": Property.__dict__["cached"],
        "staticmethod": Property.__dict__["static"],
        "classmethod": Property.__dict__["of_class"],
        "itemgetter": operator.itemgetter(1, "a"),
        "attrgetter": operator.attrgetter("a.b", "c"),
        "methodcaller": operator.methodcaller("m", 1, k=[2]),
        "cmp_to_key": functools.cmp_to_key(count),
        "Context": context,
        "ContextVar": variable,
        "Token": variable.set([3]),
        "generic alias": list[int],
        "generic alias, builtin": list[int],
        "TypeVar": typing.TypeVar("T"),
        "weak method": weakref.WeakMethod(Record("b").__eq__),
    }


def _steps(argument):
    local = [argument]
    yield from local
    yield local


def _nested(argument):
    yield from _steps(argument)


async def _coroutine(argument):
    local = [argument]
    await asyncio.sleep(0)
    return local


async def _async_steps(argument):
    yield [argument]
    yield argument


@types.coroutine
def _pause():
    yield "paused"


async def _waiting(argument):
    kept = {"argument": argument}
    await _pause()
    return kept


def generators():
    """Generators and coroutines in every state."""
    suspended = _steps("s")
    next(suspended)
    finished = _steps("f")
    list(finished)
    closed = _steps("c")
    next(closed)
    closed.close()
    failed = (1 // zero for zero in (0,))
    with contextlib.suppress(ZeroDivisionError):
        next(failed)
    nested = _nested("n")
    next(nested)
    framed = _steps("framed")
    next(framed)
    waiting = _waiting("w")
    waiting.send(None)
    begun = _async_steps("begun")
    with contextlib.suppress(StopIteration):
        begun.__anext__().send(None)
    unstarted = _coroutine("u")
    done = _coroutine("d")
    done.close()
    return {
        "generator, not started": _steps("n"),
        "generator, suspended": suspended,
        "generator, finished": finished,
        "generator, closed": closed,
        "generator, failed": failed,
        "generator, delegating": nested,
        "generator whose frame was asked for": framed,
        "frame of a suspended generator": framed.gi_frame,
        "generator expression": (x for x in [[1]]),
        "coroutine, not started": unstarted,
        "coroutine, suspended": waiting,
        "coroutine, closed": done,
        "coroutine wrapper": _coroutine_wrapper(),
        "async generator, not started": _async_steps("n"),
        "async generator, suspended": begun,
        "async generator's next": _async_steps("x").__anext__(),
        "loop": _loop(),
    }


def _coroutine_wrapper():
    coroutine = _waiting("wrapped")
    wrapper = coroutine.__await__()
    next(wrapper)
    return wrapper


def _loop():
    """An event loop with a task that waits."""
    loop = asyncio.new_event_loop()
    future = loop.create_future()

    async def wait():
        await future

    task = loop.create_task(wait())
    loop.call_soon(loop.stop)
    loop.run_forever()
    return [loop, task, future]


def exceptions():
    """Exceptions with their tracebacks and frames."""
    try:
        try:
            raise Rude("first", [1], note=[2])
        except Rude as first:
            raise KeyError("second") from first
    except KeyError as error:
        caught = error
    try:
        open("/nonexistent/file")  # noqa: SIM115 - for its error
    except OSError as error:
        missing = error
    try:
        "\xe9".encode("ascii")
    except UnicodeError as error:
        unicode = error
    return {
        "exception": ValueError("v", [1]),
        "exception with attributes": Rude("x", a=[1]),
        "exception with a traceback and a cause": caught,
        "traceback": caught.__traceback__,
        "frame of a traceback": caught.__traceback__.tb_frame,
        "OSError": missing,
        "UnicodeError": unicode,
        "StopIteration": StopIteration([1]),
        "SystemExit": SystemExit([1]),
        "ImportError": ImportError("m", name="n", path="p"),
        "SyntaxError": SyntaxError("m", ("f", 1, 1, "t")),
        "frame of a call that has ended": _ended(),
    }


def _ended():
    local = ["a local of a call that has ended"]

    def inner(argument):
        return sys._getframe(), local, argument

    return inner({"argument": 1})[0]
