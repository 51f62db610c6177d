"""Classes of the zoo, and those whose instances tell when anything is asked of them."""

import abc
import collections
import ctypes
import dataclasses
import enum
import functools
import sys
import types
import typing
import weakref

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


class SubOrdered(collections.OrderedDict):
    """A subclass of OrderedDict."""


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
