"""What lines should say, in plain Python, slowly: from `gc.get_referents`, `sys.getsizeof` and the objects themselves.

An object is asked before the dump, for asking must not change what is dumped (:class:`Sightings`), and the rest once
the dump is there: to name attributes that an instance keeps without a dict, the dict must be made.
"""

import array
import builtins
import collections
import ctypes
import gc
import sys
import types
from collections import Counter

HEAP_TYPE = 1 << 9
MANAGED_DICT = 1 << 4
MANAGED_WEAKREF = 1 << 3
INLINE_VALUES = 1 << 2
HAVE_GC = 1 << 14
WORD = ctypes.sizeof(ctypes.c_void_p)
GC_HEADER = 2 * WORD
DICTS = (dict, *(getattr(builtins, name) for name in ["frozendict"] if hasattr(builtins, name)))
#: Where a type has its `tp_traverse`.
TRAVERSE = 23 * WORD

# Makes an instance's dict without asking the instance, whatever its class has put in the way.
_make_dict = ctypes.pythonapi.PyObject_GenericGetDict
_make_dict.restype = ctypes.py_object
# By address, because an instance of `ctypes.py_object` would stand for what it holds.
_make_dict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]


def _word(address):
    return ctypes.c_size_t.from_address(address).value


def _byte(address):
    return ctypes.c_uint8.from_address(address).value


def inline_array(item):
    """The address of the array of attributes that an instance keeps without a dict; 0 if it has none.

    Told by the words before the object (CPython's Include/internal/pycore_object.h), which differ in each version.
    """
    kind = type(item)
    if sys.version_info < (3, 11) or not kind.__flags__ & MANAGED_DICT:
        return 0
    if sys.version_info < (3, 12):
        return _word(id(item) - 4 * WORD)
    managed = _word(id(item) - 3 * WORD)
    if sys.version_info < (3, 13):
        return managed + 1 if managed & 1 else 0
    values = id(item) + kind.__basicsize__
    is_inline = kind.__flags__ & INLINE_VALUES and not managed and _byte(values + 3)
    return values + WORD if is_inline else 0


def dict_of_values(item):
    """The dict that was made of attributes which an instance still keeps itself (from 3.13 on); None if there is none.

    The instance holds it; its traverse visits it, or in older releases the values instead.
    """
    kind = type(item)
    if sys.version_info < (3, 13) or not kind.__flags__ & INLINE_VALUES:
        return None
    made = _word(id(item) - 3 * WORD)
    is_inline = _byte(id(item) + kind.__basicsize__ + 3)
    return ctypes.cast(made, ctypes.py_object).value if made and is_inline else None


def has_type_reference(kind):
    """Whether instances hold a reference to their type: it was made at run time."""
    return bool(kind.__flags__ & HEAP_TYPE)


def slot_values(item):
    """How many of an instance's slots are set: a traverse visits them first."""
    count = 0
    kind = type(item)
    while kind is not None:
        for descriptor in vars(kind).values() if "__slots__" in vars(kind) else ():
            if type(descriptor) is types.MemberDescriptorType:
                try:
                    descriptor.__get__(item, type(item))
                except AttributeError:
                    continue
                count += 1
        kind = kind.__base__
    return count


def _start_of_attributes(item, values, visited):
    """Where among what a traverse has visited the values of an instance's attributes stand.

    That of a class made by a `class` statement visits its slots, the attributes, and then leaves the rest to that of
    its base. A base made in C that has attributes visits them itself, wherever it likes.
    """
    kind, own = type(item), _word(id(Sightings) + TRAVERSE)
    while _word(id(kind) + TRAVERSE) == own and kind.__base__ is not object:
        kind = kind.__base__
    is_made_in_c = _word(id(kind) + TRAVERSE) != own
    if not (is_made_in_c and kind.__flags__ & MANAGED_DICT):
        return slot_values(item)
    wanted = Counter(values)
    starts = range(len(visited) - len(values), -1, -1)
    return next((start for start in starts if Counter(visited[start : start + len(values)]) == wanted), 0)


def _addresses(items):
    """As an array: numbers in a list would be objects, a million more in the dump."""
    return array.array("Q", map(id, items))


def _once_for_a_type(function):
    """What a function says of a type, asked once."""
    known = {}

    def ask(kind):
        try:
            return known[kind]
        except KeyError:
            return known.setdefault(kind, function(kind))

    return ask


@_once_for_a_type
def _dict_kind(kind):
    """`dict` or from 3.15 on `frozendict`, if that is what a type is or derives from; else None."""
    return next((base for base in DICTS if issubclass(kind, base)), None)


def _pairs(dictionary):
    return _addresses(part for pair in _dict_kind(type(dictionary)).items(dictionary) for part in pair)


def _without_dict_part(item, entries, visited):
    """What the traverse of a subclass of a dict visits beside the entries, which come last: values, often keys too.

    That of an `OrderedDict` visits each key once more, for its nodes refer to them: a line has each key once.
    """
    keys, values = Counter(entries[::2]), Counter(entries[1::2])
    nodes = keys if issubclass(type(item), collections.OrderedDict) else Counter()
    for part in (nodes + keys + values, nodes + values, keys + values, values):
        start = len(visited) - sum(part.values())
        if start >= 0 and Counter(visited[start:]) == part:
            return visited[:start]
    raise AssertionError("a traverse does not end with the dict's")


@_once_for_a_type
def _sizer(kind):
    """What gives the size of a type's instances: see `size`."""
    functions = [vars(base)["__sizeof__"] for base in kind.__mro__ if "__sizeof__" in vars(base)]
    fitting = (
        function
        for function in functions
        if type(function) is types.MethodDescriptorType and issubclass(kind, function.__objclass__)
    )
    function = next(fitting)
    if function is functions[0]:
        return sys.getsizeof
    managed = MANAGED_DICT if sys.version_info >= (3, 11) else 0
    managed |= MANAGED_WEAKREF if sys.version_info >= (3, 12) else 0
    before = (GC_HEADER if kind.__flags__ & HAVE_GC else 0) + (2 * WORD if kind.__flags__ & managed else 0)
    return lambda item: function(item) + before


def size(item):
    """What `sys.getsizeof` says; if it would have to run Python code, what the next function in C says."""
    return _sizer(type(item))(item)


class _WithDict:
    """Told before the dump what traverses visit of an instance whose attributes have been made a dict."""

    def __init__(self):
        self.attribute = []


def _traverse_visits_dict():
    """Whether it is that dict; if not, it is the attributes' values. Releases of one minor version differ."""
    item = _WithDict()
    made = item.__dict__
    return any(referent is made for referent in gc.get_referents(item))


TRAVERSE_VISITS_DICT = _traverse_visits_dict()


class Sighting:
    """An object as it was before the dump."""

    def __init__(self, words):
        self.size, self.inline, address, count, visited = words[:5]
        # The address of the dict that was made of an instance's values, and how many it has.
        self.made = (address, count) if address else None
        self.visited, self.entries = words[5 : 5 + visited], words[5 + visited :]


class Sightings:
    """Objects as they are before the dump, in the order in which they were looked at.

    All in one array: an object for each would be a million more in the dump.
    """

    def __init__(self, items):
        self._words, self._starts = array.array("Q"), array.array("Q")
        for item in items:
            self._starts.append(len(self._words))
            self._look(item)
        self._starts.append(len(self._words))

    def _look(self, item):
        visited, made = gc.get_referents(item), dict_of_values(item)
        made = (0, 0) if made is None else (id(made), len(made))
        self._words.extend((size(item), inline_array(item), *made, len(visited)))
        self._words.extend(map(id, visited))
        if _dict_kind(type(item)):
            self._words.extend(_pairs(item))

    def words(self, number):
        """What was seen of one object, comparable."""
        return self._words[self._starts[number] : self._starts[number + 1]]

    def __getitem__(self, number):
        return Sighting(self.words(number))

    def __len__(self):
        return len(self._starts) - 1


class Expected:
    """What the line of an object should say; made after the dump, from what was seen before it."""

    def __init__(self, item, seen):
        self.refs = seen.visited
        self.size = seen.size
        is_dict = _dict_kind(type(item)) is not None
        if type(item) in DICTS:
            self.refs = array.array("Q")
        elif is_dict:
            self.refs = _without_dict_part(item, seen.entries, seen.visited)
        if seen.inline:
            self._name_attributes(item, seen)
        if seen.made:
            address, count = seen.made
            if TRAVERSE_VISITS_DICT:
                count = 1
            start = slot_values(item)
            self.refs[start : start + count] = array.array("Q", [address])
        if is_dict:
            self.refs = seen.entries + self.refs
        if has_type_reference(type(item)) and id(type(item)) not in self.refs:
            self.refs.append(id(type(item)))

    def _name_attributes(self, item, seen):
        prefix = _byte(seen.inline - 1)
        attributes = _make_dict(id(item), None)
        values = _addresses(attributes.values())
        start = _start_of_attributes(item, values, self.refs)
        end = start + len(values)
        found = Counter(self.refs[start:end])
        assert found == Counter(values), f"attributes of {type(item)} are not where they should be"
        self.refs[start:end] = _pairs(attributes)
        if sys.version_info < (3, 13):
            # The new dict has taken the array over, and says how long it is. In front of it stands its prefix.
            self.size += prefix + sys.getsizeof(attributes) - dict.__basicsize__ - GC_HEADER


def is_static_type(item):
    """A type that was not made at run time: its own traverse must not be called, so it refers to nothing."""
    return issubclass(type(item), type) and not has_type_reference(item)


def running_frames():
    """Addresses of the frames of all calls that run."""
    addresses = set()
    for frame in sys._current_frames().values():
        while frame is not None:
            addresses.add(id(frame))
            frame = frame.f_back
    return addresses


def reachable(start):
    """Everything that can be reached from these, by address; held, so that nothing of it goes."""
    held = {id(item): item for item in start}
    pending = list(start)
    while pending:
        item = pending.pop()
        neighbours = gc.get_referents(item)
        kind = _dict_kind(type(item))
        if kind:
            neighbours.extend(kind.keys(item))
        neighbours.append(type(item))
        made = dict_of_values(item)
        if made is not None:
            neighbours.append(made)
        for neighbour in neighbours:
            if id(neighbour) not in held:
                held[id(neighbour)] = neighbour
                pending.append(neighbour)
    for ours in (held, pending, start):
        held.pop(id(ours), None)
    return held
