"""A walk leaves no trace: no Python code runs, no dict is made, no reference count changes, nothing is collected.

The process walks its own heap here (``inline``), so that whatever the walk does is done to this process.
"""

import gc
import os
import sys
from functools import partial

import pytest
import truth_zoo
from truth_reference import inline_array

import heapsee
from heapsee import _heapsee


@pytest.fixture
def descriptor(tmp_path):
    """Where a walk of this process by itself may write to."""
    heapsee.install_memory_dumper(directory=tmp_path, mode="inline", chain=True)
    with open(tmp_path / "lines", "wb") as file:
        yield file.fileno()
        assert file.seek(0, os.SEEK_END) > 1_000_000, "nothing was dumped"
    heapsee.uninstall_memory_dumper()


@pytest.fixture
def walk(descriptor):
    """Has this process walk its own heap, by one call of a function written in C."""
    return lambda: _heapsee.dump_to_file(descriptor)


@pytest.fixture
def zoo():
    specimens = {**truth_zoo.specimens(), **truth_zoo.bombs()}
    gc.collect()
    truth_zoo.heard.clear()
    return specimens


@pytest.mark.usefixtures("zoo")
def test_nothing_planted_is_called(walk):
    walk()
    assert truth_zoo.heard == []


def test_the_plants_do_tell(zoo):
    """Otherwise their silence would mean nothing."""
    for use in (len, repr, hash, bool):
        with pytest.raises((TypeError, RuntimeError)):
            use(zoo["listener that is a list"])
    with pytest.raises(RuntimeError):
        sys.getsizeof(zoo["size raises"])
    assert [name for _, name in truth_zoo.heard] == ["__len__", "__repr__", "__hash__", "__bool__", "__sizeof__"]


@pytest.mark.usefixtures("zoo")
def test_no_python_function_runs(walk):
    events = []
    sys.setprofile(lambda _, event, argument: events.append((event, argument)))
    try:
        walk()
    finally:
        sys.setprofile(None)
    begin = events.index(("c_call", _heapsee.dump_to_file))
    end = events.index(("c_return", _heapsee.dump_to_file))
    assert events[begin + 1 : end] == []


@pytest.mark.usefixtures("zoo")
def test_nothing_is_collected(descriptor):
    """Up to 3.11 the collector may begin whenever an object is made. From 3.12 on it waits for Python code to run.

    So none runs between the steps: C code calls one after the other.
    """
    phases = []
    thresholds = gc.get_threshold()
    phases_so_far = partial(phases.copy)
    walk = partial(_heapsee.dump_to_file, descriptor)
    steps = [partial(gc.set_threshold, 1), walk, phases_so_far, partial(gc.set_threshold, *thresholds)]
    gc.set_threshold(0)
    gc.callbacks.append(lambda phase, _: phases.append(phase))
    try:
        _, _, during, _ = map(partial.__call__, steps)
        gc.collect()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.pop()
    assert during == []
    assert phases_so_far() != [], "the collector would have said so"


def test_the_collector_is_as_it_was(walk):
    assert gc.isenabled()
    walk()
    assert gc.isenabled()
    gc.disable()
    try:
        walk()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_no_dict_is_made(zoo, walk):
    inline = {label for label, item in zoo.items() if inline_array(item)}
    arrays = {label: inline_array(zoo[label]) for label in inline}
    walk()
    assert {label: inline_array(zoo[label]) for label in inline} == arrays
    assert bool(inline) == (sys.version_info >= (3, 11))


def test_no_reference_count_changes(zoo, walk):
    def counts():
        return {label: sys.getrefcount(item) for label, item in zoo.items() if id(item) not in shared}

    # These everybody refers to, we here too; from 3.12 on they are not counted.
    shared = {id(item) for item in (None, True, False, ..., NotImplemented, 0, 1)}
    walk()
    before = counts()
    walk()
    after = counts()
    assert {label: (count, after[label]) for label, count in before.items() if after[label] != count} == {}


def test_no_object_is_left_behind(walk):
    walk()
    gc.collect()
    before = len(gc.get_objects())
    walk()
    assert len(gc.get_objects()) <= before
