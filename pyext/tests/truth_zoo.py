"""The zoo: one specimen or more of every kind of object that CPython's own library makes, by label.

Every specimen stays as it is made, so that what it refers to can be asked before and after a dump. What is planted in
some of them, :data:`heard` would tell: a walk runs no Python code.
"""

import abc
import array
import asyncio
import collections
import contextlib
import contextvars
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import operator
import pathlib
import queue
import random
import re
import struct
import sys
import threading
import types
import typing
import uuid
import weakref
import xml.etree.ElementTree as ElementTree

heard = []
"""What was called of all that must not be."""


def _hears(name):
    def method(self, *_):
        heard.append((type(self).__name__, name))
        return NotImplemented

    return method


_EARS = """
    __sizeof__ __eq__ __hash__ __len__ __repr__ __str__ __bool__ __int__ __index__ __iter__ __contains__
    __getitem__ __setattr__ __get__ __call__ __enter__ __reduce_ex__ __dir__ __format__ __bytes__ __fspath__
""".split()  # noqa: SIM905


def _listener(name, *bases):
    """A class whose instances tell when anything is asked of them."""

    def __getattribute__(self, attribute):
        heard.append((name, attribute))
        return object.__getattribute__(self, attribute)

    def __getattr__(self, attribute):
        heard.append((name, attribute))
        raise RuntimeError("a bomb")

    def __del__(self):
        heard.append((name, "__del__"))

    namespace = {method.__name__: method for method in (__getattribute__, __getattr__, __del__)}
    namespace.update((ear, _hears(ear)) for ear in _EARS)
    namespace["__hash__"] = bases[0].__hash__ if bases and bases[0] in (str, int) else _hears("__hash__")
    return types.new_class(name, bases, {}, lambda body: body.update(namespace))


class Plain:
    """Attributes without a dict, where the version has that."""


class Sibling:
    """As Plain: instances can become instances of it."""


class Slotted:
    """A class of slots, not in alphabetical order."""

    __slots__ = ("__private", "first", "second")

    def __init__(self, *values):
        for name, value in zip(("first", "second", "_Slotted__private"), values):
            setattr(self, name, value)


class SlottedChild(Slotted):
    """Inherits slots, adds one."""

    __slots__ = ("third",)


class SlottedWithDict(Slotted):
    """Slots and a dict."""

    __slots__ = ("__dict__", "fourth")


class SlottedWeakly(Slotted):
    """Slots and weak references."""

    __slots__ = ("__weakref__",)


class OpenSlots(Slotted):
    """A subclass that says nothing of slots: has a dict and weak references."""


class NoSlots:
    """Nothing at all: not even the collector cares."""

    __slots__ = ()


class Meta(type):
    """A metaclass with an attribute of its own."""

    def __len__(cls):
        heard.append((cls.__name__, "__len__ of a class"))
        return 0


class WithMeta(metaclass=Meta):
    """An instance of a metaclass."""


class Abstract(abc.ABC):
    """An abstract class."""

    @abc.abstractmethod
    def method(self):
        """Does nothing."""


class Colour(enum.Enum):
    """An enumeration."""

    RED = "red"
    BLUE = ("blue", 2)


class Number(enum.IntEnum):
    """An enumeration of numbers."""

    ONE = 1
    HUGE = 1 << 80


class Bits(enum.Flag):
    """Flags."""

    A = 1
    B = 2


Point = collections.namedtuple("Point", "x y")


class TypedPoint(typing.NamedTuple):
    """A named tuple, the other way."""

    x: int
    y: str = "y"


@dataclasses.dataclass
class Record:
    """A dataclass."""

    name: str
    tags: list = dataclasses.field(default_factory=list)


if sys.version_info >= (3, 10):

    @dataclasses.dataclass(slots=True)
    class SlottedRecord:
        """A dataclass with slots."""

        name: str
        tags: list
else:
    SlottedRecord = Record


class SubDict(dict):
    """A subclass of dict."""


class SlottedDict(dict):
    """A subclass of dict with slots."""

    __slots__ = ("a", "b")


class SubList(list):
    """A subclass of list."""


class SlottedList(list):
    """A subclass of list with a slot."""

    __slots__ = ("note",)


class SubTuple(tuple):
    """A subclass of tuple: items and attributes."""


class SubSet(set):
    """A subclass of set."""


class SubFrozen(frozenset):
    """A subclass of frozenset."""


class SubStr(str):
    """A subclass of str."""


class SubBytes(bytes):
    """A subclass of bytes."""


class SubBytearray(bytearray):
    """A subclass of bytearray."""


class SubInt(int):
    """A subclass of int."""


class SubFloat(float):
    """A subclass of float."""


class SubModule(types.ModuleType):
    """A subclass of module."""


class SubDeque(collections.deque):
    """A subclass of deque."""


class Rude(Exception):
    """An exception with attributes."""

    def __init__(self, *args, **attributes):
        super().__init__(*args)
        self.__dict__.update(attributes)


class Structure(ctypes.Structure):
    """A structure of ctypes, whose metatype is a static type on some versions."""

    _fields_ = (("number", ctypes.c_int), ("text", ctypes.c_char_p), ("object", ctypes.py_object))


class Union(ctypes.Union):
    """A union of ctypes."""

    _fields_ = (("number", ctypes.c_int), ("real", ctypes.c_double))


class Property:
    """Descriptors of all kinds."""

    @property
    def value(self):
        """A property."""
        return 1

    @functools.cached_property
    def cached(self):
        """A property that remembers."""
        return ["cached"]

    @staticmethod
    def static():
        """Neither."""

    @classmethod
    def of_class(cls):
        """Of the class."""


def attributed(item, **attributes):
    """The item with attributes."""
    for name, value in attributes.items():
        object.__setattr__(item, name, value)
    return item


def plain(**attributes):
    """An instance with these attributes."""
    return attributed(Plain(), **attributes)


def _dicts():
    mixed = {"a": 1, 2: "b", (3,): [3]}
    holes = {str(i): [i] for i in range(50)}
    for i in range(0, 50, 3):
        del holes[str(i)]
    emptied = {"gone": 1}
    del emptied["gone"]
    refilled = {str(i): i for i in range(10)}
    for i in range(5):
        del refilled[str(i)]
    refilled[0] = "now mixed"
    nans = {float("nan"): 1}
    split = plain(a=[1], b=[2])
    holed = plain(a=[1], b=[2], c=[3])
    del holed.__dict__["a"]
    holed.a = "last"
    unsplit = plain(a=[1], b=[2])
    unsplit.__dict__[7] = "a key that is no name"
    default = collections.defaultdict(list, {"k": ["v"]})
    ordered = collections.OrderedDict([("z", [1]), ("a", [2])])
    ordered.move_to_end("z")
    return {
        "dict": {},
        "dict of one": {"a": []},
        "dict with string keys": {"a": 1, "b": None, "c": [1]},
        "dict with equal values": {"a": None, "b": None},
        "dict with keys that are no strings": {1: "a", 2: "b"},
        "dict with mixed keys": mixed,
        "dict with holes": holes,
        "dict emptied": emptied,
        "dict that was of strings": refilled,
        "dict with a NaN": nans,
        "dict of a hundred thousand": {i: str(i) for i in range(100_000)},
        "dict of a string subclass": {SubStr("key"): 1},
        "dict of untracked": {"only": "atoms", "and": 1},
        "dict copied": dict(mixed),
        "dict of an instance": split.__dict__,
        "its instance": split,
        "dict of an instance, with a deletion": holed.__dict__,
        "dict of an instance, no longer shared": unsplit.__dict__,
        "dict subclass": SubDict(a=1, b=[2]),
        "dict subclass with attributes": attributed(SubDict(a=None, b=[2]), x=None, y=[1]),
        "dict subclass that is its own attribute": _selfish(),
        "dict subclass with slots": attributed(SlottedDict(a=None, k=[1]), a=None, b=[]),
        "dict subclass with a slot unset": attributed(SlottedDict(), a=None),
        "dict subclass that refers to its type": SubDict(mine=SubDict),
        "defaultdict": default,
        "defaultdict of None": collections.defaultdict(None, {"k": None}),
        "OrderedDict": ordered,
        "OrderedDict with attributes": attributed(collections.OrderedDict(a=1), x=[]),
        "Counter": collections.Counter("abracadabra"),
        "ChainMap": collections.ChainMap({}, ordered),
        "UserDict": collections.UserDict(a=1),
        "dict keys": mixed.keys(),
        "dict values": mixed.values(),
        "dict items": mixed.items(),
        "dict iterator": iter(mixed),
        "dict item iterator": iter(mixed.items()),
        "dict reversed": reversed(mixed),
        "mappingproxy": types.MappingProxyType(mixed),
    }


def _selfish():
    item = SubDict(k=None)
    item.self = item
    item["self"] = item
    return item


def _containers():
    circle = []
    circle.append(circle)
    deep = []
    for _ in range(5000):
        deep = [deep]
    return {
        "list": [],
        "list of things": [1, "a", None, [2], 1, "a"],
        "list of itself": circle,
        "list nested deep": deep,
        "list of a hundred thousand": list(range(100_000)),
        "list that has shrunk": _shrunk(),
        "list subclass": SubList([1, 2]),
        "list subclass with attributes": attributed(SubList([None, 2]), x=None),
        "list subclass with a slot": attributed(SlottedList([None]), note=None),
        "tuple": (),
        "tuple of atoms": (1, "a", None),
        "tuple of things": ([], (), {}),
        "tuple subclass": SubTuple((1, 2)),
        "tuple subclass with attributes": attributed(SubTuple((None, 2)), x=None, y=1),
        "namedtuple": Point([1], 2),
        "typed namedtuple": TypedPoint(1),
        "struct sequence": sys.version_info,
        "set": set(),
        "set of things": {1, "a", None, (1,)},
        "set of a thousand": set(range(1000)),
        "set subclass": attributed(SubSet({1}), x=[1]),
        "frozenset": frozenset({1, "b"}),
        "frozenset subclass": attributed(SubFrozen({1}), x=[1]),
        "deque": collections.deque([1, [2], 3], maxlen=5),
        "deque of a thousand": collections.deque(range(1000)),
        "deque subclass": attributed(SubDeque([None]), x=None),
        "array": array.array("d", range(100)),
        "array of nothing": array.array("b"),
        "bytearray": bytearray(b"abc"),
        "bytearray subclass": attributed(SubBytearray(b"x" * 100), x=1),
        "memoryview": memoryview(bytearray(100))[10:20],
        "memoryview of many dimensions": memoryview(bytes(24)).cast("B", (2, 3, 4)),
        "SimpleNamespace": types.SimpleNamespace(a=1, b=[2]),
        "Element": _element(),
        "queue": queue.Queue(),
        "simple queue": queue.SimpleQueue(),
        "range": range(3, 10**30),
        "slice": slice(1, [2], None),
    }


def _shrunk():
    items = list(range(1000))
    del items[3:]
    return items


def _element():
    root = ElementTree.Element("root", {"a": "b"})
    ElementTree.SubElement(root, "child").text = "text"
    return root


def _atoms():
    integers = [0, 1, -1, 255, 256, 257, 2**30 - 1, 2**30, -(2**30), 2**60, 2**63 - 1, -(2**63), 2**63, 2**64, 10**1000]
    texts = {
        "str": "",
        "str of one": "a",
        "str of ASCII": 'plain, but for "quotes" and \\backslashes/ and \n\t\x00\x1f\x7f',
        "str of latin-1": "\xe9\xff\x80",
        "str of two bytes": "\u4e2d\u0100\uffff",
        "str of four bytes": "\U0001f600\U0010ffff a",
        "str of lone surrogates": "\ud800 \udc80\udfff \ude00\ud83d",
        "str of a hundred": "x" * 100,
        "str of a hundred and one": "y" * 101,
        "str of many wide": "\U0001f600" * 300,
        "str with its UTF-8": _with_utf8("caf\u00e9 \u4e2d"),
        "str subclass": SubStr("sub"),
        "str subclass with attributes": attributed(SubStr("wide \u4e2d \U0001f600"), x=[1]),
        "str interned": sys.intern("an interned string"),
        "str by the old API": ctypes.pythonapi.PyUnicode_FromWideChar and _wide("w\xefde"),
    }
    numbers = {f"int {i}": integer for i, integer in enumerate(integers)}
    return {
        **texts,
        **numbers,
        "int subclass": SubInt(5),
        "int subclass, huge": attributed(SubInt(-(10**30)), x=1),
        "bool": True,
        "bool, the other": False,
        "IntEnum": Number.ONE,
        "IntEnum, huge": Number.HUGE,
        "Enum": Colour.BLUE,
        "Flag": Bits.A | Bits.B,
        "float": 1.5,
        "float subclass": attributed(SubFloat(2.5), x=[1]),
        "complex": 1j,
        "bytes": b"",
        "bytes of all": bytes(range(256)),
        "bytes subclass": attributed(SubBytes(b"sub\xff"), x=1),
        "None": None,
        "Ellipsis": ...,
        "NotImplemented": NotImplemented,
        "Decimal": decimal.Decimal("1.1") ** 100,
        "Decimal context": decimal.Context(),
        "Fraction": fractions.Fraction(1, 3),
        "datetime": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        "timedelta": datetime.timedelta(1),
        "UUID": uuid.UUID(int=5),
        "Path": pathlib.PurePosixPath("/a/b"),
        "Random": random.Random(1),
        "Struct": struct.Struct("<ii"),
        "Pattern": re.compile("(a)|b"),
        "Match": re.match("(a)", "a"),
    }


def _with_utf8(text):
    ctypes.pythonapi.PyUnicode_AsUTF8.argtypes = [ctypes.py_object]
    ctypes.pythonapi.PyUnicode_AsUTF8(text)
    return text


def _wide(text):
    """A str as extensions of old made them, by wchar_t, not made ready (there are none from CPython 3.12 on)."""
    if sys.version_info >= (3, 12):
        return text
    make = ctypes.pythonapi.PyUnicode_FromUnicode
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
    made = make(None, len(text))
    array = ctypes.pythonapi.PyUnicode_AsUnicode
    array.restype = ctypes.c_void_p
    array.argtypes = [ctypes.py_object]
    ctypes.memmove(array(made), ctypes.create_unicode_buffer(text), 4 * len(text))
    return made


def _counter(step):
    total = 0

    def count(amount=step, *, again=None):
        """Counts."""
        nonlocal total
        total += amount
        return again

    return count


def _functions():
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


def _generators():
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


def _exceptions():
    try:
        try:
            raise Rude("first", [1], note=[2])
        except Rude as first:
            raise KeyError("second") from first
    except KeyError as error:
        caught = error
    try:
        open("/nonexistent/file")  # noqa: PTH123, SIM115 - for its error
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


def _types():
    renamed = type("renamed", (), {})
    renamed.__name__ = "later"
    return {
        "type": type,
        "object": object,
        "static type": collections.OrderedDict,
        "class": Plain,
        "class of slots": Slotted,
        "class of inherited slots": SlottedChild,
        "class of slots and a dict": SlottedWithDict,
        "metaclass": Meta,
        "class of a metaclass": WithMeta,
        "abstract class": Abstract,
        "enum class": Colour,
        "namedtuple class": Point,
        "class of ctypes": Structure,
        "class of ctypes, static": ctypes.Structure,
        "metatype of ctypes": type(ctypes.Structure),
        "class without ASCII": type("Großé中", (), {}),
        "class with odd characters": type("quo\"te'back\\slash/new\nline", (), {}),
        "class with dots": type("a.b.c", (), {}),
        "class renamed": renamed,
        "class with a long name": type("long" * 100, (), {}),
        "class of many attributes": type("Many", (), {f"a{i}": [i] for i in range(100)}),
        "heap type made in C": type(asyncio.new_event_loop().create_future()) and type(re.compile("")),
        "union type": typing.Optional[int],
    }


def _instances():
    # Classes of their own: they use up the names that instances can share.
    many = attributed(type("Many", (), {})(), **{f"a{i}": [i] for i in range(40)})
    twenty_nine = attributed(type("Thirty", (), {})(), **{f"a{i}": [i] for i in range(29)})
    deleted = plain(a=[1], b=[2], c=[3])
    del deleted.b
    again = plain(a=[1], b=[2])
    del again.a
    again.a = [3]
    none_left = plain(a=[1])
    del none_left.a
    asked = plain(a=[1], b=None)
    asked_dict = asked.__dict__
    became = attributed(Sibling(), x=[1], y=[2])
    became.__class__ = Plain
    cleared = plain(a=[1])
    cleared.__dict__ = {"replaced": [1]}
    odd = plain()
    odd.__dict__["not an identifier"] = 1
    other = plain(b=[1])
    other.a = [2]
    descriptor = Property()
    descriptor.cached  # noqa: B018 - fills the dict
    wanted = {
        "instance": Plain(),
        "instance with attributes": plain(a=[1], b=None, c=None),
        "instance with equal attributes": plain(a=None, b=None),
        "instance with attributes in another order": other,
        "instance with forty attributes": many,
        "instance with twenty-nine attributes": twenty_nine,
        "instance after a deletion": deleted,
        "instance with an attribute deleted and set": again,
        "instance with none left": none_left,
        "instance whose dict was asked for": asked,
        "the dict that was asked for": asked_dict,
        "instance of another class before": became,
        "instance with a dict of its own": cleared,
        "instance with an odd attribute": odd,
        "instance with a cached property": descriptor,
        "instance that refers to its class": plain(cls=Plain),
        "instance that refers to itself": _reflexive(),
        "slots": Slotted([1], None, [2]),
        "slots, some unset": Slotted([1]),
        "slots, all unset": Slotted(),
        "slots, inherited": attributed(SlottedChild(None, [1], None), third=None),
        "slots and a dict": attributed(SlottedWithDict(None, [1]), fourth=None, x=None, y=[1]),
        "slots and a dict, equal": attributed(SlottedWithDict(None, None, None), x=None, y=None),
        "slots and weak references": SlottedWeakly(1, 2, 3),
        "slots, opened": attributed(OpenSlots(None, None, [1]), x=None, y=[2]),
        "no slots": NoSlots(),
        "instance of a metaclass's class": attributed(WithMeta(), x=1),
        "instance of a type": Abstract.__dict__["method"],
        "dataclass": Record("n", [1]),
        "dataclass with slots": SlottedRecord("n", [1]),
        "structure": Structure(1, b"t", [1]),
        "union": Union(number=1),
        "ctypes array": (Structure * 2)(),
        "ctypes pointer": ctypes.pointer(Structure(2, b"u", [2])),
        "ctypes number": ctypes.c_int(5),
        "ctypes buffer": ctypes.create_string_buffer(100),
        "ctypes function": ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 5),
        "ctypes library": ctypes.pythonapi,
        "module": types.ModuleType("made", "doc"),
        "module subclass": attributed(SubModule("sub"), x=[1]),
        "module without a name": _nameless(),
        "module with an odd name": types.ModuleType('mo"du\\le/\u4e2d'),
        "module itself": sys.modules[__name__],
        "BytesIO": io.BytesIO(b"content" * 100),
        "StringIO": io.StringIO("content"),
        "TextIOWrapper": io.TextIOWrapper(io.BytesIO(b"x")),
        "lock": threading.Lock(),
        "RLock": threading.RLock(),
        "local": threading.local(),
        "object": object(),
    }
    for name in ('quo"te\\back/\nline', "Großé", "中", "\U0001f600", "x" * 300):
        kind = type(name, (), {})
        wanted[f"instance of {name[:20]!r}"] = attributed(kind(), a=[1])
    return wanted


def _reflexive():
    item = plain(a=None)
    item.self = item
    return item


def _nameless():
    module = types.ModuleType("x")
    del module.__name__
    return module


def _references():
    target = plain(target=True)
    holder = collections.UserList([1])
    values = weakref.WeakValueDictionary(a=target)
    keys = weakref.WeakKeyDictionary({target: [1]})
    dead = weakref.ref(Plain())
    return {
        "target of weak references": target,
        "weakref": weakref.ref(target),
        "weakref with a callback": weakref.ref(target, lambda _, kept=[1]: kept),
        "weakref, dead": dead,
        "proxy": weakref.proxy(target),
        "callable proxy": weakref.proxy(_steps),
        "WeakValueDictionary": values,
        "WeakKeyDictionary": keys,
        "WeakSet": weakref.WeakSet([target]),
        "finalize": weakref.finalize(holder, len, ()),
        "holder": holder,
    }


def _iterators():
    items = [1, [2], "c"]
    begun = iter(items)
    next(begun)
    grouped = itertools.groupby("aab")
    _, group = next(grouped)
    teed, _other = itertools.tee(iter(items))
    next(teed)
    product = itertools.product(items, repeat=2)
    next(product)
    combined = itertools.combinations(items, 2)
    next(combined)
    permuted = itertools.permutations(items)
    next(permuted)
    exhausted = iter([])
    list(exhausted)
    return {
        "list iterator": begun,
        "list iterator, exhausted": exhausted,
        "list reversed": reversed(items),
        "tuple iterator": iter(tuple(items)),
        "set iterator": iter({1, 2}),
        "str iterator": iter("text"),
        "bytes iterator": iter(b"bytes"),
        "bytearray iterator": iter(bytearray(b"x")),
        "range iterator": iter(range(5)),
        "range iterator, long": iter(range(10**30)),
        "array iterator": iter(array.array("i", [1])),
        "deque iterator": iter(collections.deque([1])),
        "callable iterator": iter(list, None),
        "sequence iterator": iter(collections.UserList([1])),
        "reversed": reversed(collections.UserList([1])),
        "enumerate": enumerate(items, 10**20),
        "zip": zip(items, items),
        "map": map(len, items, items),
        "filter": filter(None, items),
        "chain": itertools.chain(items, [1]),
        "count": itertools.count(10**30, 2),
        "cycle": itertools.cycle(items),
        "repeat": itertools.repeat([1], 5),
        "islice": itertools.islice(items, 2),
        "starmap": itertools.starmap(len, [items]),
        "takewhile": itertools.takewhile(len, [items]),
        "accumulate": itertools.accumulate(items),
        "compress": itertools.compress(items, [1]),
        "zip_longest": itertools.zip_longest(items, [], fillvalue=[0]),
        "groupby": grouped,
        "group": group,
        "tee": teed,
        "product": product,
        "combinations": combined,
        "permutations": permuted,
        "memoryview iterator": iter(memoryview(b"x")),
        "scandir-free": operator.length_hint(items),
    }


class _SizeofRaises:
    def __sizeof__(self):
        heard.append(("_SizeofRaises", "__sizeof__"))
        raise RuntimeError("a bomb")


class _SizeofLies(list):
    def __sizeof__(self):
        heard.append(("_SizeofLies", "__sizeof__"))
        return -5


class _SizeofOfAnother:
    __sizeof__ = list.__sizeof__


class _SizeofIsNoFunction:
    __sizeof__ = 5


class _SizeofOfObject(list):
    """Asks for less than a list would say, and `sys.getsizeof` takes it: a C function that fits."""

    __sizeof__ = object.__sizeof__


def bombs():
    """Instances that tell when they are touched; make them last and drop :data:`heard` after."""
    made = {
        "listener": _listener("Listener")(),
        "listener that is a dict": _listener("ListeningDict", dict)(a=1),
        "listener that is a list": _listener("ListeningList", list)([1]),
        "listener that is a tuple": _listener("ListeningTuple", tuple)((1,)),
        "listener that is a set": _listener("ListeningSet", set)([1]),
        "listener that is a str": _listener("ListeningStr", str)("text"),
        "listener that is an int": _listener("ListeningInt", int)(5),
        "listener that is a module": _listener("ListeningModule", types.ModuleType)("listening"),
        "listener that is a type": _listener("ListeningType", type)("ListeningClass", (), {}),
        "listener that is an exception": _listener("ListeningError", Exception)(1),
        "size raises": _SizeofRaises(),
        "size lies": _SizeofLies([1]),
        "size of another": _SizeofOfAnother(),
        "size is no function": _SizeofIsNoFunction(),
        "size of object": _SizeofOfObject([1, 2, 3]),
    }
    for name in ("listener", "listener that is a dict", "listener that is a list", "listener that is a set"):
        attributed(made[name], kept=[name], other=None)
    made["dict with a listening key"] = {made["listener that is a str"]: made["listener"]}
    made["weakref to a listener"] = weakref.ref(made["listener"], lambda _: heard.append(("weakref", "callback")))
    return made


def specimens():
    """All specimens by label, fresh ones."""
    parts = (
        _dicts,
        _containers,
        _atoms,
        _functions,
        _generators,
        _exceptions,
        _types,
        _instances,
        _references,
        _iterators,
    )
    return {label: item for part in parts for label, item in part().items()}
