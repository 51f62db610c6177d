"""The collector's lists as every release lays them out, built in memory of the test's own.

An extension built for one release of a minor version runs on all of them, and the collector of 3.14 is not the same in
all: so the layout is found out at run time, and each is tried here on every CPython.
"""

import ctypes
import gc
import mmap

import pytest
from conftest import SECCOMP

from heapsee import _heapsee

WORD = ctypes.sizeof(ctypes.c_void_p)
HEADER = 2 * WORD
GENERATION = 3 * WORD
OLD_SPACE, COLLECTING = 1, 2


class Memory:
    """Zeroed memory: the words of one page, with no readable memory behind it."""

    def __init__(self):
        self.map = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self._protect(0)
        self.free = self.start + 2048

    def _protect(self, how):
        address = ctypes.c_void_p(self.start + mmap.PAGESIZE)
        assert ctypes.CDLL(None).mprotect(address, mmap.PAGESIZE, how) == 0

    def close(self):
        self._protect(mmap.PROT_READ | mmap.PROT_WRITE)

    def set(self, address, word):
        ctypes.c_size_t.from_address(address).value = word

    def link(self, head, count, next_flags=0, prev_flags=0):
        """A list of new objects: header and one word each. Returns their addresses."""
        headers = [self.free + i * (HEADER + WORD) for i in range(count)]
        self.free += count * (HEADER + WORD)
        ring = [head, *headers, head]
        for at, following in zip(ring, ring[1:]):
            self.set(at, following | (next_flags if at != head else 0))
            self.set(following + WORD, at | (prev_flags if following != head else 0))
        return [header + HEADER for header in headers]


@pytest.fixture
def memory():
    memory = Memory()
    yield memory
    memory.close()


def up_to_313(memory, counts):
    """Three generations, a pointer to the first, and the permanent one."""
    heads = [memory.start + i * GENERATION for i in range(3)]
    memory.set(memory.start + 3 * GENERATION, heads[0])
    heads.append(memory.start + 3 * GENERATION + WORD)
    return [memory.link(head, count, 0, COLLECTING) for head, count in zip(heads, counts)]


def from_3145(memory, counts):
    """Three generations and the permanent one; the pointer to the first stands far behind."""
    heads = [memory.start + i * GENERATION for i in range(4)]
    memory.set(memory.start + 4 * GENERATION + 20 * WORD, heads[0])
    return [memory.link(head, count, 0, COLLECTING) for head, count in zip(heads, counts)]


def up_to_3144(memory, counts):
    """The young, two spaces of the old, the permanent: which space an object is in its header says too."""
    heads = [memory.start + i * GENERATION for i in range(4)]
    spaces = (OLD_SPACE, 0, OLD_SPACE, 0)
    return [memory.link(head, count, space, COLLECTING) for head, count, space in zip(heads, counts, spaces)]


LAYOUTS = [up_to_313, up_to_3144, from_3145]


@pytest.mark.parametrize("counts", [(3, 2, 4, 1), (1, 0, 0, 0), (1, 0, 5, 7), (2, 9, 0, 0)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_list_is_found(memory, layout, counts):
    assert _heapsee._collector_lists(memory.start, counts[3]) is None, "there is nothing yet"
    lists = layout(memory, counts)
    assert [len(addresses) for addresses in lists] == list(counts)
    assert _heapsee._collector_lists(memory.start, counts[3]) == lists


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_does_not_hold_together_is_none(memory, layout):
    lists = layout(memory, (2, 3, 2, 2))
    assert _heapsee._collector_lists(memory.start, 2) == lists
    assert _heapsee._collector_lists(memory.start, 1) is None, "the permanent list is longer than CPython says"
    assert _heapsee._collector_lists(memory.start + 1, 2) is None, "no address of a list"
    assert _heapsee._collector_lists(0, 2) is None
    for at in range(WORD * 2):
        # Each word of the heads once: a number, a place without memory, another list's object.
        head = memory.start + at * WORD
        was = ctypes.c_size_t.from_address(head).value
        if was == 0:
            continue
        for wrong in (7, 2000, memory.start + mmap.PAGESIZE, lists[1][1] - HEADER, 2**64 - 8):
            memory.set(head, wrong)
            found = _heapsee._collector_lists(memory.start, 2)
            assert found is None or found == lists, (at, wrong)
        memory.set(head, was)
    assert _heapsee._collector_lists(memory.start, 2) == lists


def test_a_list_more_is_none_of_them(memory):
    """As a collector with four generations would have it."""
    heads = [memory.start + i * GENERATION for i in range(5)]
    for head, count in zip(heads, (1, 1, 1, 1, 3)):
        memory.link(head, count)
    assert _heapsee._collector_lists(memory.start, 3) is None


def test_those_of_this_interpreter():
    """As the walk finds them, in the interpreter's state."""
    gc.disable()
    try:
        listed = {address for addresses in _heapsee._collector_lists() for address in addresses}
        tracked = {id(item) for item in gc.get_objects()}
    finally:
        gc.enable()
    assert len(tracked - listed) < 10
    assert len(tracked & listed) > 10_000


#: For a worker: a page that nobody may read, and a head in front of it that leads there.
UNREADABLE = """
import ctypes, mmap
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), page, 0) == 0
ctypes.c_size_t.from_address(start).value = start + page
"""


def test_where_the_kernel_lets_nobody_look(worker):
    """A sandbox may refuse to read memory for us: then it is read directly, where it can be."""
    worker(f"{SECCOMP}\nrefuse('process_vm_readv', 1)")
    worker(UNREADABLE)
    assert worker("result = heapsee._heapsee._collector_lists(start, 0)") is None
    assert worker("result = sum(map(len, heapsee._heapsee._collector_lists()))") > 1000
