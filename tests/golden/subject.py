"""The heap that the golden dumps are of: ``python -S subject.py FILE``, on any CPython from 2.7 on.

One of each kind of thing a dump may hold, and two small leaks whose numbers are known by construction: a chain of
`LINKS` links, and a shelf of `BLOCKS` blocks. It imports next to nothing, so that the dumps stay small.
"""

import gc
import sys

LINKS = 40
BLOCKS = 25
BEYOND_MEASURE = 10**40
Module = type(sys)


def text(escaped):  # type: (str) -> str
    """Of the type ``unicode`` on Python 2. Written with escapes, which its ``str`` leaves alone."""
    decode = getattr(escaped, "decode", None)
    return str(escaped) if decode is None else decode("unicode_escape")


class Old:
    """On Python 2 its instances are of the type ``instance``."""

    def __init__(self):  # type: () -> None
        self.marker = text("gr\u00fc\u00df")


class Link(object):
    """A link of the chain; has no ``__dict__``."""

    __slots__ = ("before", "number")

    def __init__(self, before, number):  # type: (object, int) -> None
        self.before = before
        self.number = number


class System(object):
    """What stands between two links."""

    def __init__(self, link):  # type: (Link) -> None
        self.link = link


class Block(object):
    """What there are many of on a shelf."""

    def __init__(self, number):  # type: (int) -> None
        self.title = "block no. %d" % number
        self.weight = number + 0.5


class Shelf(object):
    """Holds blocks by number."""

    def __init__(self, blocks):  # type: (int) -> None
        self.blocks = {1000 + number: Block(number) for number in range(blocks)}


def chain(links):  # type: (int) -> object
    """The newest of as many systems, each leading to the one before."""
    system = None  # type: object
    for number in range(links):
        system = System(Link(system, 500 + number))
    return system


def closure(captured):  # type: (object) -> object
    """A function with a cell."""
    return lambda: captured


def counting(up_to):  # type: (int) -> object
    """A generator, with a frame of its own."""
    for number in range(up_to):
        yield number + 1


def zoo():  # type: () -> object
    """One of each kind."""
    itself = []  # type: list[object]
    itself.append(itself)
    made = {
        "ascii": 'plain, with "quotes", a back\\slash and a /',
        "control": "tab\tline\nnul\0del\x7f",
        "latin": text("\u00e9\u00ff"),
        "wide": text("\u6f22\u5b57\u20ac"),
        "beyond": text("\U0001f600"),
        "long text": "x" * 250,
        "bytes": b"\x00\x80\xff",
        "numbers": [0, -1, 255, 2**31, 2**62, -(2**63), BEYOND_MEASURE, 1.5, 2j],
        "truth": (True, False, None),
        "set": {1, 2, 3},
        "frozen": frozenset(["a", "b"]),
        "int keys": {7: "seven", None: "none", (1, 2): "pair"},
        "itself": itself,
        # Nothing else in a dump refers to the names of attributes: constants of code are not traversed.
        "names": ["link", "title", "weight", "blocks"],
        "closure": closure({"captured": "by a cell"}),
        "generator": counting(3),
        "method": Shelf(0).blocks.get,
        "bound": Shelf.__init__,
        "old": Old(),
        "class": type("Made", (Block,), {"__doc__": "at run time"}),
        text("schl\u00fcssel"): "under a key that is not ASCII",
    }
    frozendict = getattr(sys.modules.get("builtins"), "frozendict", None)
    if frozendict:
        made["frozendict"] = frozendict(a=["in a frozendict"], b=frozendict({1: (2,)}))
    return made


def build():  # type: () -> None
    """Puts it all where it can be found."""
    for name, attribute, value in [
        ("golden.chain", "newest", chain(LINKS)),
        ("golden.shelf", "shelf", Shelf(BLOCKS)),
        ("golden.zoo", "cage", zoo()),
    ]:
        module = Module(name)
        setattr(module, attribute, value)
        sys.modules[name] = module


if __name__ == "__main__":
    # What is to be imported was put on the path by whoever runs this.
    try:
        dump = __import__("_heapsee").dump_to_path
    except ImportError:
        dump = __import__("meliae.scanner").scanner.dump_all_objects

        # On an integer that is beyond 64 bits meliae gives up, in the middle of a line.
        BEYOND_MEASURE = 2**62
    build()
    gc.collect()
    dump(sys.argv[1])
