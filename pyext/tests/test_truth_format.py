"""Lines to the letter: their shape, which keys they have, and values as meliae itself writes them, on CPython 3.8."""

import json
import os
import subprocess
import sys
import types

import pytest
import truth_zoo
from truth_reference import DICTS
from truth_support import LINE, dump

# Runs on the oracle: meliae's lines of strings and bytes, and what its loader makes of a dump in both of its modes.
WITH_MELIAE = """
import json, sys
from meliae import _scanner, loader
texts, octets, path = json.load(sys.stdin)
lines = []
for item in ["".join(map(chr, item)) for item in texts] + [bytes(item) for item in octets]:
    written = []
    _scanner.dump_object_info(written.append, item, None, 0)
    lines.append(b"".join(written).decode("ascii"))
def load(using_json):
    manager = loader.load(path, using_json=using_json, show_prog=False, collapse=False)
    return sorted((item.address, item.size, len(item)) for item in manager.objs.itervalues())
json.dump([lines, load(True), load(False)], sys.stdout)
"""

TEXTS = [
    "",
    "plain",
    "a/b\\c\"d'e",
    "\x00\x01\t\n\r\x1f \x7f\x80\x9f\xa0\xff",
    "\u0100\u4e2d\ud7ff\ue000\uffff",
    "\U00010000\U0001f600\U0010ffff",
    "\ud800 \udbff\udc00\udfff",
    "x" * 99,
    "x" * 100,
    "x" * 101,
    "\u4e2d" * 101,
    # Not more of these: a line's worth of surrogate pairs is too long for a buffer of meliae's, and it dies.
    "\U0001f600" * 50,
    "\n" * 150,
]
OCTETS = [b"", b"plain", bytes(range(256)), bytes(range(100, 256)), b'/\\"' * 50]


@pytest.fixture(scope="module")
def zoo():
    return {**truth_zoo.specimens(), **truth_zoo.bombs(), "texts": TEXTS, "octets": OCTETS}


@pytest.fixture(scope="module")
def found(zoo):
    assert zoo
    return dump()


@pytest.fixture(scope="module")
def specimen_lines(zoo, found):
    """The lines of the zoo and of all it refers to: meliae is slow, and reads whole heaps elsewhere."""
    near = {id(item) for item in zoo.values()}
    near.update(address for specimen in list(near) for address in found.objects[specimen]["refs"])
    return {json.loads(line)["address"]: line for line in found.lines if json.loads(line)["address"] in near}


@pytest.fixture(scope="module")
def oracle(specimen_lines, tmp_path_factory):
    """What meliae writes for the texts and octets, and reads from the lines."""
    interpreter = os.environ.get("HEAPSEE_MELIAE_PYTHON")
    assert interpreter, "set HEAPSEE_MELIAE_PYTHON to a Python 3.8 that has meliae 0.5.1 (make test does it)"
    path = tmp_path_factory.mktemp("meliae") / "zoo.dump"
    path.write_bytes(b"\n".join(specimen_lines.values()) + b"\n")
    # As numbers: JSON would make one character of two surrogates.
    order = json.dumps([[list(map(ord, item)) for item in TEXTS], [list(item) for item in OCTETS], str(path)])
    done = subprocess.run([interpreter, "-c", WITH_MELIAE], input=order, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_line_is_to_the_letter(found):
    assert [line for line in found.lines if not LINE.fullmatch(line)] == []


def encoded(name):
    """A name as lines have it: what would need an escape is written as its code point."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"<U+{ord(c):04X}>" for c in name)


def names_of(kind):
    """What a type may be called: in Python by its `__name__`, in C also by its module and that."""
    if kind.__module__.startswith("truth_zoo"):
        return [encoded(kind.__name__)]
    return [encoded(kind.__name__), encoded(f"{kind.__module__}.{kind.__name__}")]


def name_of(item):
    name = vars(item).get("__name__") if issubclass(type(item), types.ModuleType) else item.__name__
    return None if name is None else encoded(name)


def value_of(item):
    if type(item) is bool:
        return str(item)
    if isinstance(item, int):
        item = int.__add__(item, 0)
        return item if -(2**63) <= item < 2**63 else None
    if isinstance(item, bytes):
        return bytes(item)[:100].decode("latin-1")
    if isinstance(item, types.FrameType):
        return item.f_code.co_name
    text = str.__str__(item)[:100]
    return text if type(item) is str else "".join(c if c <= "\xff" else f"<U+{ord(c):04X}>" for c in text)


HAS_NAME = (types.ModuleType, types.FunctionType)
HAS_LEN = (str, bytes, tuple, list, set, frozenset, *DICTS)
HAS_VALUE = (str, bytes, int, types.FrameType)


def test_keys_and_what_they_say(zoo, found):
    for label, item in zoo.items():
        kind, line = type(item), found.of(item)
        assert line["type"] in names_of(kind), label
        wanted = {"address": id(item), "type": line["type"], "size": line["size"], "refs": line["refs"]}
        if issubclass(kind, type):
            assert line["name"] in names_of(item), label
            wanted["name"] = line["name"]
        elif issubclass(kind, HAS_NAME):
            wanted["name"] = name_of(item)
        if issubclass(kind, HAS_LEN):
            base = next(base for base in HAS_LEN if issubclass(kind, base))
            wanted["len"] = base.__len__(item)
        if issubclass(kind, HAS_VALUE):
            wanted["value"] = value_of(item)
        assert line == {key: value for key, value in wanted.items() if value is not None}, label


def test_keys_are_those_alone(found):
    """No object has a key that its kind has none of: the other direction, for every object of the process."""
    keys = {"address", "type", "size", "refs"}
    for line in found.objects.values():
        extra = line.keys() - keys
        if line["type"] in ("float", "complex", "NoneType", "cell", "code", "method", "weakref", "bytearray"):
            assert extra == set()
        if line["type"] in ("list", "tuple", "set", "frozenset", "dict", "frozendict"):
            assert extra == {"len"}
        if line["type"] in ("str", "bytes"):
            assert extra == {"len", "value"}


def test_values_are_written_as_meliae_writes_them(specimen_lines, oracle):
    theirs = [line[line.index(', "len"') : line.index(', "refs"')] for line in oracle[0]]
    ours = [specimen_lines[id(item)].decode() for item in TEXTS + OCTETS]
    assert [line[line.index(', "len"') : line.index(', "refs"')] for line in ours] == theirs


@pytest.mark.parametrize("mode", [1, 2], ids=["json", "regex"])
def test_meliae_loads_the_zoo(found, specimen_lines, oracle, mode):
    lines = [found.objects[address] for address in specimen_lines]
    ours = sorted([line["address"], line["size"], len(line["refs"])] for line in lines)
    assert len(ours) > 1000
    assert oracle[mode] == ours


def test_names_of_static_types_are_their_definitions(found):
    assert found.of(sys.version_info.__class__)["name"] == "sys.version_info"
    assert found.of(type(sys))["name"] == "module"
    assert found.of(types.SimpleNamespace)["name"] == "types.SimpleNamespace"
