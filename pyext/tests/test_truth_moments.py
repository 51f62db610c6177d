"""Heaps of odd shapes and dumps at odd moments: long chains, other threads' calls, inside the collector.

What the lines say about each kind of object is `test_truth_references.py`'s.
"""

import ast
import asyncio
import gc
import json
import subprocess
import sys
import threading
import weakref

import pytest
from conftest import DEADLINE
from truth_support import ADDRESS, REFS
from truth_zoo_classes import plain

import heapsee


class Text:
    """A dump as its text, one object: parsed dumps of this process would be most of what its next dump has."""

    def __init__(self, path):
        heapsee.dump_all_objects(path)
        self.text = path.read_bytes()
        self.meta = json.loads(path.with_name(path.name + ".meta.json").read_bytes())

    def line(self, address):
        """The line of the object at an address."""
        start = self.text.index(b'{"address": %d, ' % address)
        return json.loads(self.text[start : self.text.index(b"\n", start)])

    def lines(self, addresses):
        """The lines of the objects at many addresses, by address."""
        starts = {b'{"address": %d' % address for address in addresses}
        found = (json.loads(line) for line in self.text.splitlines() if line.partition(b",")[0] in starts)
        return {line["address"]: line for line in found}

    def refs(self, item):
        """Addresses that the line of an object refers to."""
        return self.line(id(item))["refs"]

    def is_closed(self):
        """Whether every object that is referred to has a line, and but one."""
        addresses = {int(address) for address in ADDRESS.findall(self.text)}
        referred = {int(address) for refs in REFS.findall(self.text) for address in refs.split(b", ")}
        return len(addresses) == self.text.count(b"\n") and referred <= addresses


@pytest.fixture
def dump(tmp_path):
    """Makes a dump of this process."""
    return lambda: Text(tmp_path / "moment.dump")


def test_frozen_objects_are_lines(dump):
    kept = [plain(a=[1]), ["frozen"], {"k": ["v"]}]
    gc.collect()
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        found = dump()
        assert gc.get_freeze_count() == frozen > 10_000
    finally:
        gc.unfreeze()
    # A list's traverse begins at its end.
    assert found.refs(kept) == [id(item) for item in reversed(kept)]
    assert all(found.refs(item) for item in kept)


class Link:
    """A link of a chain."""

    __slots__ = ("next",)


def test_a_long_chain(dump):
    """No recursion, however long the way: a call for each link would take more stack than there is."""
    length = 300_000
    first = None
    for _ in range(length):
        link = Link()
        link.next = first
        first = link
    found = dump()
    shape = f'"type": "Link", "size": {sys.getsizeof(first)}, "refs": [%d, {id(Link)}]}}'
    links = {}
    for line in found.text.splitlines():
        if b'"type": "Link"' in line:
            address, following = int(line[12 : line.index(b",")]), int(line[line.index(b"[") + 1 :].partition(b",")[0])
            assert line.decode().endswith(shape % following)
            links[address] = following
    assert len(links) == length
    address = id(first)
    while links:
        address = links.pop(address)
    assert address == id(None)


@pytest.mark.parametrize("kind", [list, tuple, lambda items: {"key": items[0]} if items else {}])
def test_deep_nesting(dump, kind):
    item = kind(())
    for _ in range(1000):
        item = kind((item,))
    text = dump()
    expected = {}
    while item:
        inner = item["key"] if isinstance(item, dict) else item[0]
        expected[id(item)] = [*(id(key) for key in item if isinstance(item, dict)), id(inner)]
        item = inner
    found = text.lines(expected)
    assert len(found) == 1000
    assert {address: line["refs"] for address, line in found.items()} == expected


class Threads:
    """Threads that wait in calls of several kinds, each with a local of its own, until they are let go."""

    def __init__(self):
        targets = [self.function, self.generator, self.coroutine, self.closure]
        self.ready, self.end = threading.Barrier(len(targets) + 1), threading.Event()
        self.locals = {target.__name__: [target.__name__] for target in targets}
        self.threads = {
            target.__name__: threading.Thread(target=target, args=(self.locals[target.__name__],)) for target in targets
        }

    def pause(self):
        self.ready.wait(DEADLINE)
        self.end.wait(DEADLINE)

    def function(self, _local):
        self.pause()

    def generator(self, local):
        def steps(_local):
            yield
            self.pause()

        begun = steps(local)
        del local
        next(begun)
        next(begun, None)

    def coroutine(self, local):
        async def wait(_local):
            await asyncio.sleep(0)
            self.pause()

        coroutine = wait(local)
        del local
        asyncio.run(coroutine)

    def closure(self, local):
        def inner():
            self.pause()
            return local

        inner()

    def __enter__(self):
        for thread in self.threads.values():
            thread.start()
        self.ready.wait(DEADLINE)
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads.values():
            thread.join(DEADLINE)


def test_calls_of_other_threads(dump):
    """Each thread's frames are lines and roots, and hold their locals, though nobody has asked for the frames."""
    with Threads() as waiting:
        found = dump()
    stacks = {stack["ident"]: stack for stack in found.meta["threads"]}
    roots = {root["label"]: root["addresses"] for root in found.meta["roots"]}
    for kind, thread in waiting.threads.items():
        stack = stacks[thread.ident]
        assert stack["native_id"] == (thread.native_id if sys.version_info >= (3, 11) else None)
        assert roots[f"thread {thread.ident}"] == [frame["address"] for frame in stack["frames"]]
        below = [frame["function"] for frame in stack["frames"]].index("pause") + 1
        frame = stack["frames"][below]
        assert frame["function"] == {"generator": "steps", "coroutine": "wait", "closure": "inner"}.get(kind, kind)
        assert frame["file"] == __file__
        line = found.line(frame["address"])
        assert (line["type"], line["value"]) == ("frame", frame["function"])
        held = line["refs"]
        if kind == "closure":
            held = [ref for cell in held for ref in found.line(cell)["refs"] if found.line(cell)["type"] == "cell"]
        assert id(waiting.locals[kind]) in held


def test_the_calls_of_the_dump_itself(dump):
    local = ["a local of the caller of the dump"]
    frame = sys._getframe()
    found = dump()
    assert found.line(id(frame))["value"] == frame.f_code.co_name
    assert {id(local), id(frame), id(frame.f_code)} <= set(found.refs(frame))


def test_a_call_that_has_ended(dump):
    def ended():
        local = ["a local of a call that has ended"]
        return sys._getframe(), id(local)

    frame, local = ended()
    found = dump()
    assert {local, id(frame.f_code)} <= set(found.refs(frame))
    assert [found.line(local)["type"], found.line(local)["len"]] == ["list", 1]


class Dying:
    """Has a dump made when the collector takes it."""

    __slots__ = ("circle", "dump", "made")

    def __init__(self, dump, made):
        self.dump, self.made, self.circle = dump, made, self

    def __del__(self):
        self.made.append((id(self), self.dump()))


def test_from_inside_the_collector(dump):
    """A dump that falls into `__del__`, or into a weak reference's callback, while the collector is at work."""
    finalized, called_back = [], []
    victim = plain(a=[1])
    victim.circle = victim
    reference = weakref.ref(victim, lambda _: called_back.append(dump()))
    del victim
    Dying(dump, finalized)
    gc.collect()
    assert reference() is None
    ((address, from_finalizer),) = finalized
    assert from_finalizer.line(address)["type"] == "Dying"
    assert address in from_finalizer.line(address)["refs"]
    (from_callback,) = called_back
    assert from_finalizer.is_closed()
    assert from_callback.is_closed()


SUBINTERPRETER = """
import json, pathlib, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import heapsee
number = interpreters.create()
run = interpreters.exec if sys.version_info >= (3, 13) else interpreters.run_string
run(number, "import json, re, enum; kept = [re.compile('a')]; mine = type('Mine', (dict,), {})(a=1)")
for _ in range(2):
    heapsee.dump_all_objects(sys.argv[1])
    lines = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_bytes().splitlines()]
    addresses = {line["address"] for line in lines}
    print([len(lines) > 1000, len(addresses) == len(lines), all(addresses.issuperset(line["refs"]) for line in lines)])
    if number is not None:
        interpreters.destroy(number)
        number = None
"""


def test_beside_a_subinterpreter(tmp_path):
    """What another interpreter has is not ours, and must not be in the way; nor must its end."""
    command = [sys.executable, "-c", SUBINTERPRETER, tmp_path / "dump"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert [ast.literal_eval(line) for line in done.stdout.splitlines()] == [[True] * 3] * 2
