"""Programs made at random: classes of odd shapes, instances, containers, calls, and what becomes of them.

A seed says everything: on one CPython, the same seed makes the same program. What a program makes stays as it is.
"""

import builtins
import collections
import contextlib
import functools
import random
import types
import weakref

NAMES = [f"name_{number}" for number in range(8)] + ["_private", "été", "\u4e2d", "x" * 120]
FROZENDICT = [getattr(builtins, name) for name in ["frozendict"] if hasattr(builtins, name)]
FIXED = (int, tuple, bytes, *FROZENDICT)
EXTENSIBLE = (object, str, list, dict, set, frozenset, float, complex, bytearray, Exception, types.SimpleNamespace)
STRANGE = (collections.deque, collections.OrderedDict, collections.defaultdict, types.ModuleType, functools.partial)
ARGUMENTS = {
    int: (7,),
    str: ("text",),
    types.ModuleType: ("made",),
    functools.partial: (len, []),
    collections.deque: ((), 50),
    collections.defaultdict: (list,),
    tuple: ((1, None, "a"),),
    bytes: (b"content",),
    **{kind: ({"a": [], 2: None, "b": "c"},) for kind in FROZENDICT},
}
STEPS = 60


class Program:
    """One program: run it once, then look at what it has :attr:`made`."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.made = [None, 0, "a", -(2**70), 1.5, "\ud800", ()]
        self._classes = [type("First", (), {})]
        self._instances = []

    def run(self):
        """Takes its steps; returns what it has made."""
        steps = [self._new_class, self._new_instance, self._new_container, self._new_call, *[self._change] * 4]
        for _ in range(STEPS):
            self._random.choice(steps)()
        return self.made

    def _any(self):
        return self._random.choice(self.made)

    def _some(self, most=6):
        return [self._any() for _ in range(self._random.randrange(most))]

    def _hashable(self):
        item = self._any()
        try:
            hash(item)
        except TypeError:
            return self._random.choice(NAMES)
        return item

    def _new_class(self):
        """A class: of a built-in type or of classes made before, with slots, a dict, weak references, or none."""
        kinds = EXTENSIBLE * 2 + STRANGE + FIXED
        count = min(self._random.choice((0, 1, 1, 2)), len(self._classes))
        bases = tuple(self._random.sample(self._classes, count)) or (self._random.choice(kinds),)
        body = {}
        if self._random.random() < 0.5:
            slots = self._random.sample(NAMES, self._random.randrange(4))
            extra = [name for name in ("__dict__", "__weakref__") if self._random.random() < 0.3]
            body["__slots__"] = tuple(slots + extra)
        if self._random.random() < 0.3:
            body["method"] = self._closure()
        meta = type("Meta", (type,), {}) if self._random.random() < 0.1 else type
        with contextlib.suppress(TypeError, ValueError):  # Bases that do not go together.
            made = meta(self._random.choice(["Made", "Große", "\U0001f600", "L" * 300]), bases, body)
            self._classes.append(made)
            self.made.append(made)

    def _new_instance(self):
        if not self._classes:
            return
        kind = self._random.choice(self._classes)
        arguments = next((given for base, given in ARGUMENTS.items() if issubclass(kind, base)), ())
        item = kind(*arguments)
        self._instances.append(item)
        self.made.append(item)
        for name in self._random.sample(NAMES, self._random.randrange(len(NAMES))):
            self._set(item, name)
        # Alike: shared keys are for many instances.
        for _ in range(self._random.choice((0, 0, 3, 40))):
            self.made.append(kind(*arguments))

    def _set(self, item, name):
        with contextlib.suppress(AttributeError, TypeError):  # Neither slot nor dict.
            setattr(item, name, self._any())

    def _change(self):
        """Does something to an instance."""
        if not self._instances:
            return
        changes = (
            self._set_one,
            self._delete_one,
            self._ask_for_dict,
            self._replace_dict,
            self._odd_key,
            self._other_class,
            self._fill,
            self._empty,
        )
        with contextlib.suppress(AttributeError, TypeError):  # What an instance of its class cannot do.
            self._random.choice(changes)(self._random.choice(self._instances))

    def _set_one(self, item):
        setattr(item, self._random.choice(NAMES), self._any())

    def _delete_one(self, item):
        delattr(item, self._random.choice(NAMES))

    def _ask_for_dict(self, item):
        self.made.append(vars(item))

    def _replace_dict(self, item):
        item.__dict__ = dict(zip(self._random.sample(NAMES, 3), self._some(4)))

    def _odd_key(self, item):
        vars(item)[self._random.choice((7, None, ("a",)))] = self._any()

    def _other_class(self, item):
        item.__class__ = self._random.choice(self._classes)

    def _fill(self, item):
        if isinstance(item, dict):
            item.update((number, self._any()) for number in range(self._random.randrange(30)))
            item.update((str(number), self._any()) for number in range(self._random.randrange(30)))
        elif isinstance(item, set):
            item.update(self._hashable() for _ in range(10))
        elif isinstance(item, (list, collections.deque)):
            item.extend(self._some(200))

    def _empty(self, item):
        if isinstance(item, dict):
            for key in list(item)[:: self._random.randrange(1, 4)]:
                del item[key]
        elif isinstance(item, (set, list, collections.deque)):
            for _ in range(self._random.randrange(len(item) + 1)):
                item.pop()

    def _new_container(self):
        kinds = (list, tuple, collections.deque, iter, reversed, enumerate, types.MappingProxyType, weakref.ref)
        kind = self._random.choice((dict, set, frozenset, collections.OrderedDict, types.CellType, *kinds))
        with contextlib.suppress(TypeError):  # What cannot be referred to weakly.
            if kind in (dict, collections.OrderedDict):
                self.made.append(kind((self._hashable(), self._any()) for _ in range(self._random.randrange(12))))
                self._instances.append(self.made[-1])
            elif kind in (set, frozenset):
                self.made.append(kind(self._hashable() for _ in range(self._random.randrange(12))))
            elif kind is types.MappingProxyType:
                self.made.append(kind({"of": self._any()}))
            elif kind in (weakref.ref, types.CellType):
                self.made.append(kind(self._any()))
            else:
                self.made.append(kind(self._some(20)))

    def _closure(self):
        kept, more = self._any(), self._some()

        def function(*arguments, kept_default=more, **named):
            return kept, kept_default, arguments, named

        return function

    def _new_call(self):
        """A function, or a generator that has come some way, with what it holds."""

        def steps(argument, *more):
            local = [argument]
            for item in more:
                with contextlib.suppress(KeyError):
                    yield item, local
            yield from inner(argument)

        def inner(argument):
            squares = (argument for _ in range(3))
            while True:
                yield next(squares, None), argument

        generator = steps(self._any(), *self._some())
        for _ in range(self._random.randrange(8)):
            next(generator)
        self.made += [generator, self._closure()]
