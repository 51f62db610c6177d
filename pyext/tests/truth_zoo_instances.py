"""Specimens of the zoo that are types, instances, references, iterators."""

import array
import asyncio
import collections
import ctypes
import io
import itertools
import operator
import re
import sys
import threading
import types
import typing
import weakref

from truth_zoo_classes import (
    Abstract,
    Colour,
    Meta,
    NoSlots,
    OpenSlots,
    Plain,
    Point,
    Property,
    Record,
    Sibling,
    Slotted,
    SlottedChild,
    SlottedRecord,
    SlottedWeakly,
    SlottedWithDict,
    Structure,
    SubModule,
    Union,
    WithMeta,
    attributed,
    plain,
)


def kinds():
    """Types of all kinds."""
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


def instances():
    """Instances, by how their attributes came to be."""
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


def references():
    """Weak references and what is built of them."""
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
        "callable proxy": weakref.proxy(plain),
        "WeakValueDictionary": values,
        "WeakKeyDictionary": keys,
        "WeakSet": weakref.WeakSet([target]),
        "finalize": weakref.finalize(holder, len, ()),
        "holder": holder,
    }


def iterators():
    """Iterators, most of them begun."""
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
