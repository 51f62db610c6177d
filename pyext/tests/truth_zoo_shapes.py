"""Specimens of the zoo by the shape of their class: subclasses of built-in types with and without slots and dict.

Each class is made anew, so that no other instance has shared its attribute names before.
"""

import abc
import array
import collections
import contextlib
import datetime
import decimal
import enum
import functools
import io
import random
import sys
import threading
import types
import typing
import weakref

# Built-in types that can be subclassed, and how an instance is made. Those of variable size allow no slots but `()`.
BASES = {
    "object": (object, ()),
    "str": (str, ("text \u4e2d",)),
    "list": (list, ([1, None],)),
    "dict": (dict, ({"a": None, 1: [2]},)),
    "set": (set, ({1, None},)),
    "frozenset": (frozenset, ((1, None),)),
    "float": (float, (2.5,)),
    "complex": (complex, (1, 2)),
    "bytearray": (bytearray, (b"content",)),
    "deque": (collections.deque, ([None, 2], 3)),
    "defaultdict": (collections.defaultdict, (list, {"k": None})),
    "OrderedDict": (collections.OrderedDict, ({"k": None, "l": [1]},)),
    "Exception": (Exception, ("x", None)),
    "OSError": (OSError, (2, "no such", "file")),
    "StopIteration": (StopIteration, ([1],)),
    "partial": (functools.partial, (len, [1])),
    "property": (property, (None, None)),
    "classmethod": (classmethod, (len,)),
    "staticmethod": (staticmethod, (len,)),
    "module": (types.ModuleType, ("made",)),
    "namespace": (types.SimpleNamespace, ()),
    "enumerate": (enumerate, ([1],)),
    "zip": (zip, ([1], [2])),
    "map": (map, (len, [[1]])),
    "super": (super, (list, [])),
    "array": (array.array, ("d", [1.0])),
    "date": (datetime.date, (2024, 1, 1)),
    "datetime": (datetime.datetime, (2024, 1, 1, 1, 1, 1, 1, datetime.timezone.utc)),
    "timedelta": (datetime.timedelta, (1,)),
    "Decimal": (decimal.Decimal, ("1.5",)),
    "BytesIO": (io.BytesIO, (b"content" * 50,)),
    "StringIO": (io.StringIO, ("content",)),
    "Random": (random.Random, (1,)),
    "local": (threading.local, ()),
    "generic alias": (types.GenericAlias, (list, (int,))),
}
FIXED = {"int": (int, (10**30,)), "tuple": (tuple, ((1, None),)), "bytes": (bytes, (b"content",))}


def attributed(item, **attributes):
    """The item with attributes, set as its class has them set."""
    for name, value in attributes.items():
        setattr(item, name, value)
    return item


def _without_dict(kind, arguments):
    made = type("Bare", (kind,), {"__slots__": ()})
    return made(*arguments)


def _with_slots(kind, arguments):
    made = type("InSlots", (kind,), {"__slots__": ("zeta", "alpha", "unset")})
    return attributed(made(*arguments), zeta=None, alpha=[kind])


def _with_slots_and_dict(kind, arguments):
    first = type("First", (kind,), {"__slots__": ("zeta", "alpha")})
    made = type("Second", (first,), {"__slots__": ("middle", "__dict__")})
    return attributed(made(*arguments), zeta=None, middle=[1], free=None, other=[2])


def _opened(kind, arguments):
    """A subclass that says nothing of slots: a dict and weak references."""
    made = type("Opened", (type("Closed", (kind,), {"__slots__": ("zeta",)}),), {})
    return attributed(made(*arguments), zeta=None, free=None, other=[2])


def _with_attributes(kind, arguments):
    made = type("Free", (kind,), {})
    return attributed(made(*arguments), b=None, a=[kind], c=None)


def _after_changes(kind, arguments):
    made = type("Changed", (kind,), {})
    item = attributed(made(*arguments), b=[0], a=[1], c=None)
    del item.b
    return attributed(item, d=None, b=[2])


def _with_a_dict_asked_for(kind, arguments):
    item = _with_attributes(kind, arguments)
    return attributed(item, itself=item.__dict__)


def _with_a_dict_replaced(kind, arguments):
    item = _with_attributes(kind, arguments)
    with contextlib.suppress(AttributeError, TypeError):  # Those that let nobody: threading.local, namespaces.
        item.__dict__ = {"replaced": [None], 5: None}
    return item


def _weakly(kind, arguments):
    made = type("Weakly", (kind,), {"__slots__": ("__weakref__",) if not kind.__weakrefoffset__ else ()})
    item = made(*arguments)
    return [item, weakref.ref(item, lambda _: None)]


SHAPES = {
    "bare": _without_dict,
    "in slots": _with_slots,
    "in slots and a dict": _with_slots_and_dict,
    "in slots, opened": _opened,
    "with attributes": _with_attributes,
    "after changes": _after_changes,
    "with its dict asked for": _with_a_dict_asked_for,
    "with its dict replaced": _with_a_dict_replaced,
    "referred to weakly": _weakly,
}
FOR_FIXED = ("bare", "with attributes", "after changes", "with its dict asked for", "with its dict replaced")


def shapes():
    """Every built-in type's subclasses in every shape."""
    made = {}
    for name, (kind, arguments) in {**BASES, **FIXED}.items():
        for shape in SHAPES if name in BASES else FOR_FIXED:
            if kind.__dictoffset__ and shape == "in slots and a dict":
                continue
            made[f"{name} {shape}"] = SHAPES[shape](kind, arguments)
    return made


class _Left:
    __slots__ = ("left",)


class _Right:
    def __init__(self):
        self.right = [1]


class _Both(_Left, _Right):
    """Slots from one base, a dict from the other."""


class _Mixed(_Right, dict):
    __slots__ = ("mine",)


class _MetaWithoutDict(type):
    __slots__ = ()


class _MetaWithState(type):
    def __init__(cls, *arguments):
        super().__init__(*arguments)
        cls.registry = [cls]


class _Registered(abc.ABC):
    @abc.abstractmethod
    def method(self):
        """Does nothing."""


class _Bits(enum.IntFlag):
    A = 1
    B = 4


class _Described:
    """A descriptor's class that is told its name, and a class that has one."""

    def __set_name__(self, owner, name):
        self.told = (owner, name)


_Described.field = _Described()
_Described.field.__set_name__(_Described, "field")

_T = typing.TypeVar("_T", bound="_Box")


class _Box(typing.Generic[_T]):
    def __init__(self, of):
        self.of = of


class _Spoken(typing.Protocol):
    def speak(self) -> int:
        """Says."""


class _Movie(typing.TypedDict, total=False):
    name: str


class _Tail(typing.NamedTuple):
    head: typing.Any
    tail: typing.Optional["_Tail"] = None


def unions():
    """Several inheritance, metaclasses, generics, and what typing makes of classes."""
    both = _Both()
    both.left, both.free = None, [2]
    mixed = attributed(_Mixed(), free=[1], mine=None)
    mixed[None] = [2]
    _Registered.register(_Left)
    issubclass(_Left, _Registered)
    issubclass(_Right, _Registered)
    renamed = _Right()
    renamed.__class__ = type("Renamed", (), {})
    many = type("M" * 3000 + "\u4e2d\U0001f600", (), {})()
    return {
        "slots and a dict from two bases": both,
        "dict and entries from two bases": mixed,
        "class of a metaclass without dict": _MetaWithoutDict("Made", (), {"a": [1]}),
        "instance of a class of a metaclass without dict": _MetaWithoutDict("Made", (), {})(),
        "class of a metaclass with state": _MetaWithState("Made", (), {}),
        "abstract class that was asked": _Registered,
        "_abc_data": _Registered._abc_impl,
        "IntFlag": _Bits.A | _Bits.B,
        "descriptor": vars(_Described)["field"],
        "generic class": _Box,
        "instance of a generic class": _Box[int]([1]),
        "generic alias of a class": _Box[int],
        "Protocol": _Spoken,
        "TypedDict": _Movie,
        "instance of a TypedDict": _Movie(name="n"),
        "chain of named tuples": _Tail(1, _Tail([2])),
        "NewType": typing.NewType("Text", str),
        "Callable": typing.Callable[[int], list[str]],
        "Literal": typing.Literal["a", 1],
        "ForwardRef": typing.Optional["_Nowhere"],  # noqa: F821
        "instance of another class before, with attributes": renamed,
        "instance of a class with a name beyond any limit": many,
        "types.UnionType": int | str if sys.version_info >= (3, 10) else None,
    }
