"""Sizes and referents of objects in plain Python, from `sys.getsizeof` and `gc.get_referents`: the slow reference.

What these two cannot say is read from CPython's structures here, with ctypes, independently of the extension: the
attribute values that instances keep without a dict from CPython 3.11 on, and their names.
"""

from __future__ import annotations

import builtins
import ctypes
import gc
import sys
import types
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any

WORD = ctypes.sizeof(ctypes.c_void_p)
HEAP_TYPE = 1 << 9
INLINE_VALUES = 1 << 2
MANAGED_DICT = 1 << 4
SPLIT_KEYS = 2
KEYS_HEADER = 4 * WORD
# PyHeapTypeObject ends with ht_cached_keys, ht_module, _ht_tpname and a specialization cache that grew by a word in
# each version.
HEAP_TYPE_SIZE: int = vars(type)["__basicsize__"].__get__(type)
CACHED_KEYS_FROM_END = {(3, 11): 4, (3, 12): 5, (3, 13): 6, (3, 14): 7, (3, 15): 7}.get(sys.version_info[:2], 0) * WORD


DICTS: tuple[Any, ...] = (dict, *([vars(builtins)["frozendict"]] if "frozendict" in vars(builtins) else []))
"""What has keys and values: from 3.15 on also `frozendict`, which is no dict."""


def dict_base(kind: type) -> Any:
    """The one of `DICTS` that a class derives from: its methods tell the entries, whatever the class makes of them."""
    return next(base for base in DICTS if issubclass(kind, base))


def word(address: int) -> int:
    """The machine word at an address."""
    return ctypes.c_size_t.from_address(address).value


def byte(address: int) -> int:
    """The byte at an address."""
    return ctypes.c_uint8.from_address(address).value


def object_at(address: int) -> Any:
    """The object at an address."""
    return ctypes.cast(ctypes.c_void_p(address), ctypes.py_object).value


def type_name(kind: type) -> str:
    """What C calls the type (``tp_name``): what meliae writes. Types defined in C have their module's name in it."""
    name = ctypes.string_at(word(id(kind) + 3 * WORD))
    return name.decode()


class SharedKeys:
    """The attribute names that instances of one class share."""

    def __init__(self, kind: type) -> None:
        self.address = word(id(kind) + HEAP_TYPE_SIZE - CACHED_KEYS_FROM_END)
        if self.address:
            self.log2_index_bytes = byte(self.address + WORD + 1)
            self.is_split = byte(self.address + WORD + 2) == SPLIT_KEYS
            self.usable = word(self.address + 2 * WORD)
            self.used = word(self.address + 3 * WORD)

    def name(self, index: int) -> int:
        """The address of the name with this index."""
        return word(self.address + KEYS_HEADER + (1 << self.log2_index_bytes) + index * 2 * WORD)


def dict_of_values(item: object) -> int:
    """The address of the dict that was made of values that are in the object still (3.13); 0 if there is none."""
    kind = type(item)
    if sys.version_info < (3, 13) or not kind.__flags__ & INLINE_VALUES or not kind.__flags__ & HEAP_TYPE:
        return 0
    is_valid = byte(id(item) + kind.__basicsize__ + 3)
    return word(id(item) - 3 * WORD) if is_valid else 0


def inline_values(item: object) -> tuple[list[tuple[int, int]], int] | None:
    """Addresses of names and values kept without a dict, and bytes that `sys.getsizeof` forgets; None without any."""
    kind = type(item)
    if sys.version_info < (3, 11) or not kind.__flags__ & MANAGED_DICT or not kind.__flags__ & HEAP_TYPE:
        return None
    keys = SharedKeys(kind)
    if not keys.address or not keys.is_split:
        return None
    capacity = keys.usable + keys.used
    extra = 0
    if sys.version_info >= (3, 13):
        header = id(item) + kind.__basicsize__
        if not kind.__flags__ & INLINE_VALUES or word(id(item) - 3 * WORD) or not byte(header + 3):
            return None
        array, capacity = header + WORD, byte(header)
    else:
        array = word(id(item) - 4 * WORD)
        if sys.version_info >= (3, 12):
            tagged = word(id(item) - 3 * WORD)
            array = tagged + 1 if tagged & 1 else 0
        if not array:
            return None
        extra = byte(array - 1) + capacity * WORD
    values = ((index, word(array + index * WORD)) for index in range(min(capacity, keys.used)))
    return [(keys.name(index), value) for index, value in values if value], extra


def size(item: object) -> int:
    """What `sys.getsizeof` says, and the values it forgets."""
    inline = inline_values(item)
    return sys.getsizeof(item) + (inline[1] if inline else 0)


def referents(item: object) -> list[int]:
    """Addresses of what an object refers to, with repeats, in no particular order."""
    kind = type(item)
    visited = [id(referent) for referent in gc.get_referents(item)]
    if kind.__flags__ & MANAGED_DICT or issubclass(kind, DICTS):
        visited = with_names(item, visited)
    if kind.__flags__ & HEAP_TYPE and id(kind) not in visited:
        visited.append(id(kind))
    return visited


def with_names(item: object, traversed: list[int]) -> list[int]:
    """What the traverse of a dict or of an instance visits, and the names that it leaves out."""
    kind = type(item)
    visited = Counter(traversed)
    if issubclass(kind, DICTS):
        base = dict_base(kind)
        names = Counter(id(key) for key in base.keys(item))
        values = Counter(id(value) for value in base.values(item))
        # The traverse of a dict leaves the keys out when all are strings; that of an OrderedDict visits each once more,
        # for the list that keeps the order. A dump has each key once.
        often = names + names if issubclass(kind, OrderedDict) else names
        visited = visited - values - often + names + values
    inline = inline_values(item)
    if inline:
        visited += Counter(name for name, _ in inline[0])
    made = dict_of_values(item)
    if made and made not in visited:
        # In older releases the traverse visits the values, not the dict.
        values = object_at(made)
        assert isinstance(values, dict)
        visited = visited - Counter(id(value) for value in dict.values(values)) + Counter([made])
    return list(visited.elements())


def neighbours(item: object) -> Iterator[object]:
    """The referents themselves, to walk on."""
    yield from gc.get_referents(item)
    # By the type: a proxy says that it is an instance of what it stands for.
    if issubclass(type(item), DICTS):
        yield from dict_base(type(item)).keys(item)
    inline = inline_values(item)
    if inline:
        yield from (object_at(name) for name, _ in inline[0])
    made = dict_of_values(item)
    if made:
        yield object_at(made)
    yield type(item)


def has_python_sizeof(item: object) -> bool:
    """Whether `__sizeof__` is Python or Cython code: the extension never runs such, so its answer differs."""
    found = next((vars(kind)["__sizeof__"] for kind in type(item).__mro__ if "__sizeof__" in vars(kind)), None)
    return not isinstance(found, types.MethodDescriptorType)
