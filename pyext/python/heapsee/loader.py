"""meliae's loader by its own names: a dump as Python objects, to be looked at in an interpreter or a notebook.

    from heapsee import loader
    om = loader.load("worker.dump")
    om.summarize()

Every object of the dump becomes one here, of some hundred bytes. The program ``heapsee`` answers more, and dumps of
millions of objects faster; this is for scripts that were written for meliae. It needs no extension module and reads
dumps of any Python.
"""

import contextlib
import gc
import gzip
import json
import math
import os
import sys

__all__ = ["MemObject", "ObjManager", "load"]

_GZIP_MAGIC = b"\x1f\x8b"
_EXPENSIVE = frozenset(["module", "frame", "type"])
_NO_INSTANCES = frozenset(
    ["str", "unicode", "bytes", "int", "long", "dict", "tuple", "list", "type", "function", "code", "weakref"]
)
_PLAIN = frozenset(["str", "unicode", "bytes", "int", "long", "bool", "NoneType"])
_CONSTANTS = {"True": True, "False": False}


def load(source, using_json=None, show_prog=True, collapse=True, max_parents=None):
    """Read a dump into an :class:`ObjManager`.

    :param source: a path (gzipped or not), or an iterable of lines, ``str`` or ``bytes``.
    :param using_json: chose between two parsers in meliae; here there is one.
    :param show_prog: say on standard error how many objects have been read.
    :param collapse: run :meth:`ObjManager.collapse_instance_dicts` afterwards, which also finds the parents.
    :param max_parents: keep no more parents than this of each object; 0 keeps none, None all (meliae's default is 100).
    :raises ValueError: a line is no object; the text says which.
    :raises OSError: the file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(gc.enable if gc.isenabled() else gc.disable)
        gc.disable()
        lines = stack.enter_context(_open(source)) if isinstance(source, (str, os.PathLike)) else source
        objects = MemObjectCollection()
        for number, line in enumerate(lines, 1):
            found = _parse(line, number, objects)
            if found is not None:
                objects[found.address] = found
            if show_prog and number % 100_000 == 0:
                print(f"{number:,} lines", file=sys.stderr)
    manager = ObjManager(objects, max_parents)
    if collapse:
        manager.collapse_instance_dicts()
    return manager


def _open(path):
    with open(path, "rb") as file:
        magic = file.read(len(_GZIP_MAGIC))
    return gzip.open(path, "rb") if magic == _GZIP_MAGIC else open(path, "rb")


def _parse(line, number, objects):
    """The object of a line; None for the brackets and blanks of a JSON list."""
    if isinstance(line, bytes):
        line = line.decode("utf-8", "replace")
    text = line.strip().rstrip(",")
    if text in {"", "[", "]"}:
        return None
    try:
        fields = json.loads(text)
        value = fields.get("value", fields.get("name"))
        type_str = sys.intern(fields["type"])
        found = MemObject(int(fields["address"]), type_str, int(fields["size"]), tuple(fields["refs"]), value, objects)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"line {number} is no object of a dump ({type(error).__name__}: {error}): {text[:80]!r}"
        ) from None
    found.length = fields.get("len")
    return found


class MemObject:
    """One object of a dump."""

    __slots__ = ("_objects", "address", "children", "length", "parents", "size", "total_size", "type_str", "value")

    def __init__(self, address, type_str, size, children, value=None, objects=None):
        self.address = address
        self.type_str = type_str
        self.size = size
        self.children = children
        """Addresses of what it refers to."""
        self.parents = ()
        """Addresses of what refers to it, once they have been computed."""
        self.value = value
        """Its value, or its name."""
        self.length = None
        """The number of its items or characters, as the dump says it; None where it does not."""
        self.total_size = 0
        """Bytes of all that it leads to, itself included, once they have been computed; 0 before."""
        self._objects = {} if objects is None else objects

    def __len__(self):
        return len(self.children)

    def __bool__(self):
        return True

    def __getitem__(self, index):
        return self._objects[self.children[index]]

    def __repr__(self):
        words = [str(self.address), f"{self.size}B"]
        if self.children:
            words.append(f"{len(self.children)}refs")
        if self.parents:
            words.append(f"{len(self.parents)}par")
        if self.value is not None:
            words.append(repr(self.value))
        if self.total_size:
            words.append(f"{_short(self.total_size)}tot")
        return f"{self.type_str}({' '.join(words)})"

    @property
    def c(self):
        """What it refers to."""
        return [self._objects[address] for address in self.children]

    @property
    def p(self):
        """What refers to it, once :meth:`ObjManager.compute_parents` has found out."""
        return [self._objects[address] for address in self.parents]

    @property
    def num_refs(self):
        """How many references it has."""
        return len(self.children)

    @property
    def num_parents(self):
        """How many objects refer to it."""
        return len(self.parents)

    ref_list = property(lambda self: self.children)
    referrers = property(lambda self: self.parents)
    num_referrers = num_parents

    def to_json(self):
        """One line, as it stands in a dump."""
        fields = {"address": self.address, "type": self.type_str, "size": self.size}
        if self.length is not None:
            fields["len"] = self.length
        if self.value is not None:
            fields["value"] = self.value
        return json.dumps({**fields, "refs": self.children})

    def refs_as_dict(self):
        """Its references as pairs: ``{key: value}``; strings, numbers and the like as what they are."""
        pairs = self.c
        keys = [found if found.value is None else _plain(found, with_names=True) for found in pairs[::2]]
        return dict(zip(keys, (_plain(found, with_names=False) for found in pairs[1::2])))

    def iter_recursive_refs(self, excluding=None):
        """All that it leads to, itself the first; not going to the addresses in ``excluding``."""
        seen = set(() if excluding is None else excluding)
        pending = [] if self.address in seen else [self]
        seen.add(self.address)
        while pending:
            found = pending.pop()
            yield found
            for address in found.children:
                if address not in seen:
                    seen.add(address)
                    if address in self._objects:
                        pending.append(self._objects[address])

    def compute_total_size(self, excluding=None):
        """Bytes of all that it leads to, itself included, shared or not. Kept in ``total_size``."""
        self.total_size = sum(found.size for found in self.iter_recursive_refs(excluding))
        return self.total_size

    def all(self, type_str, excluding=None):
        """What it leads to of a type, the largest first."""
        found = [each for each in self.iter_recursive_refs(excluding) if each.type_str == type_str]
        return sorted(found, key=lambda each: (-each.size, each.address))


def _plain(found, *, with_names):
    """The value of a string, a number and the like, and if wanted the name of what has one; else the object."""
    if found.type_str == "NoneType":
        return None
    if found.type_str == "bool":
        return _CONSTANTS.get(found.value, found)
    return found if found.value is None or not (with_names or found.type_str in _PLAIN) else found.value


class MemObjectCollection(dict):
    """Address → :class:`MemObject`, with the methods that scripts of Python 2's days ask for."""

    itervalues = dict.values
    iteritems = dict.items
    iterkeys = dict.keys


class ObjManager:
    """A dump: its objects by address, and questions about all of them."""

    def __init__(self, objs, max_parents=None):
        self.objs = objs
        """The objects by address."""
        self.max_parents = max_parents

    def __getitem__(self, address):
        return self.objs[address]

    def __contains__(self, address):
        return address in self.objs

    def __len__(self):
        return len(self.objs)

    def compute_parents(self):
        """Find out, for every object, what refers to it."""
        parents = {address: [] for address in self.objs}
        limit = math.inf if self.max_parents is None else self.max_parents
        for found in self.objs.values():
            for address in dict.fromkeys(found.children):
                known = parents.get(address)
                if known is not None and len(known) < limit:
                    known.append(found.address)
        for found in self.objs.values():
            found.parents = tuple(parents[found.address])

    compute_referrers = compute_parents

    def collapse_instance_dicts(self):
        """Give instances and modules the references and the bytes of their ``__dict__``, and drop the dict itself.

        Returns whether there was any.
        """
        collapsed = set()
        for found in self.objs.values():
            held = self._own_dict(found)
            if held is not None:
                found.children = held.children + found.children[1:]
                found.size += held.size
                collapsed.add(held.address)
        for address in collapsed:
            del self.objs[address]
        self.compute_parents()
        return bool(collapsed)

    def _own_dict(self, found):
        """The ``__dict__`` of an instance with nothing else but its class, or of a module with nothing else."""
        kinds = [self._type_of(address) for address in found.children[:3]]
        is_instance = kinds == ["dict", "type"] and found.type_str not in _NO_INSTANCES
        is_module = kinds == ["dict"] and found.type_str == "module"
        return self.objs[found.children[0]] if is_instance or is_module else None

    def remove_expensive_references(self):
        """Drop references that lead everywhere.

        To modules, frames and types, from functions to their globals: those of an object become one, to an object at
        address 0. And between the nodes of an LRU cache.
        """
        globals_of_modules = {
            address for found in self.objs.values() if found.type_str == "module" for address in found.children
        }
        dropped = MemObject(0, "<ex-reference>", 0, (), None, self.objs)
        for found in self.objs.values():
            if found.type_str == "_LRUNode":
                found.children = tuple(each for each in found.children if self._type_of(each) != "_LRUNode")
                continue
            unwanted = globals_of_modules if found.type_str == "function" else ()
            kept = [each for each in found.children if self._type_of(each) not in _EXPENSIVE and each not in unwanted]
            if len(kept) < len(found.children):
                found.children = (*kept, dropped.address)
        self.objs[dropped.address] = dropped
        self.compute_parents()

    def _type_of(self, address):
        found = self.objs.get(address)
        return None if found is None else found.type_str

    def summarize(self, obj=None, excluding=None):
        """Count the objects and their bytes by type: of all, or of what ``obj`` leads to.

        :param excluding: addresses not to count, and not to go to.
        """
        if obj is None:
            excluded = frozenset(() if excluding is None else excluding)
            return _Summary(found for found in self.objs.values() if found.address not in excluded)
        return _Summary(obj.iter_recursive_refs(excluding))

    def get_all(self, type_str):
        """All objects of a type, the largest first."""
        found = [each for each in self.objs.values() if each.type_str == type_str]
        return sorted(found, key=lambda each: (-each.size, each.address))

    def compute_total_size(self, obj):
        """As :meth:`MemObject.compute_total_size`; returns the object."""
        obj.compute_total_size()
        return obj

    def refs_as_dict(self, obj):
        """As :meth:`MemObject.refs_as_dict`."""
        return obj.refs_as_dict()

    def refs_as_list(self, obj):
        """What an object refers to; what has a value or a name as that."""
        return [_plain(found, with_names=True) for found in obj.c]

    def guess_intern_dict(self):
        """The dict that has nothing but strings in it, each under itself; None if there is none."""
        for found in self.get_all("dict"):
            keys = found.children[::2]
            if (
                keys
                and keys == found.children[1::2]
                and all(found[2 * at].type_str == "str" for at in range(len(keys)))
            ):
                return found
        return None


class _TypeSummary:
    """What there is of one type."""

    def __init__(self, type_str):
        self.type_str = type_str
        self.count = 0
        self.total_size = 0
        self.sq_sum = 0
        self.max_size = 0
        self.max_address = None

    def _add(self, found):
        self.count += 1
        self.total_size += found.size
        self.sq_sum += found.size * found.size
        if found.size > self.max_size:
            self.max_size = found.size
            self.max_address = found.address

    def __repr__(self):
        average = self.total_size / self.count if self.count else 0.0
        spread = math.sqrt(max(self.sq_sum / self.count - average * average, 0.0)) if self.count else 0.0
        return (
            f"{self.type_str}: {self.count}, {self.total_size} bytes, {average:.3f} avg bytes, {spread:.3f} std dev, "
            f"{self.max_size} max @ {self.max_address}"
        )


class _Summary:
    """Types by what they take up. Prints as a table."""

    def __init__(self, objects):
        self.type_summaries = {}
        self.total_count = 0
        self.total_size = 0
        for found in objects:
            kind = self.type_summaries.get(found.type_str)
            if kind is None:
                kind = self.type_summaries[found.type_str] = _TypeSummary(found.type_str)
            kind._add(found)
            self.total_count += 1
            self.total_size += found.size
        self.summaries = self._sorted("total_size")

    def _sorted(self, name):
        kinds = self.type_summaries.values()
        return sorted(kinds, key=lambda kind: (-getattr(kind, name), -kind.count, kind.type_str))

    def by_size(self):
        """Put the types with the most bytes first."""
        self.summaries = self._sorted("total_size")

    def by_count(self):
        """Put the types with the most objects first."""
        self.summaries = self._sorted("count")

    def __repr__(self):
        lines = [
            f"Total {self.total_count} objects, {len(self.type_summaries)} types, "
            f"Total size = {_short(self.total_size)}B ({self.total_size} bytes)",
            " Index   Count   %      Size   % Cum     Max Kind",
        ]
        cumulative = 0
        for index, kind in enumerate(self.summaries[:20]):
            cumulative += kind.total_size
            lines.append(
                f"{index:6d}{kind.count:8d}{_percent(kind.count, self.total_count):4d}{kind.total_size:10d}"
                f"{_percent(kind.total_size, self.total_size):4d}{_percent(cumulative, self.total_size):4d}"
                f"{kind.max_size:8d} {kind.type_str}"
            )
        return "\n".join(lines)


def _percent(part, whole):
    return 100 * part // whole if whole else 0


def _short(size):
    """With a unit: ``1.5M``. Whole below 1000."""
    for unit in ("", "K", "M"):
        if size < 1000:
            return f"{size:.1f}{unit}" if unit else str(size)
        size /= 1024
    return f"{size:.1f}G"
