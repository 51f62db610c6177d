"""Specimens of the zoo that are data: dicts, other containers, atoms."""

import array
import collections
import ctypes
import datetime
import decimal
import fractions
import pathlib
import queue
import random
import re
import struct
import sys
import types
import uuid
import xml.etree.ElementTree as ElementTree

from truth_zoo_classes import (
    Bits,
    Colour,
    Number,
    Point,
    SlottedDict,
    SlottedList,
    SubBytearray,
    SubBytes,
    SubDeque,
    SubDict,
    SubFloat,
    SubFrozen,
    SubInt,
    SubList,
    SubOrdered,
    SubSet,
    SubStr,
    SubTuple,
    TypedPoint,
    attributed,
    plain,
)


def dicts():
    """Dicts of all table shapes, and what is derived from them."""
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
    tricked = collections.OrderedDict(a=1)
    dict.__setitem__(tricked, "b", [2])
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
        "dict of ten thousand": {i: str(i) for i in range(10_000)},
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
        "OrderedDict of numbers": collections.OrderedDict.fromkeys(range(300, 310)),
        "OrderedDict subclass": attributed(SubOrdered(a=None, b=[1]), x=None),
        "OrderedDict that was tricked": tricked,
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


def containers():
    """Sequences, sets, buffers."""
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
        "list of ten thousand": list(range(10_000)),
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


def atoms():
    """Texts, numbers, bytes, and values of the library made of them."""
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
