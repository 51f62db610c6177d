"""Dumps of this very process, and their lines as values."""

import array
import bisect
import collections.abc
import contextlib
import json
import re
import shutil
import tempfile
from pathlib import Path

import heapsee

LINE = re.compile(
    rb'\{"address": (?:0|[1-9][0-9]*), "type": "(?P<type>(?:[ !#-\[\]-~])*)", "size": (?:0|[1-9][0-9]*)'
    rb'(?:, "name": "(?P<name>(?:[ !#-\[\]-~])*)")?'
    rb'(?:, "len": (?P<len>0|[1-9][0-9]*))?'
    rb'(?:, "value": (?:(?P<number>0|-?[1-9][0-9]*)|"(?P<text>(?:[ !#-.0-\[\]-~]|\\u[0-9a-f]{4}|\\["\\/])*)"))?'
    rb', "refs": \[(?:(?:0|[1-9][0-9]*)(?:, (?:0|[1-9][0-9]*))*)?\]\}'
)
"""A line to the letter: keys in their order, separators, pure ASCII, escapes as meliae writes them."""


ADDRESS = re.compile(rb'^\{"address": ([0-9]+)', re.MULTILINE)
REFS = re.compile(rb'"refs": \[([0-9, ]+)\]\}$', re.MULTILINE)


class Objects(collections.abc.Mapping):
    """The objects of a dump by address: lines that are parsed when they are asked for.

    All of them parsed would be ten times as many objects, and in the next dump of this process.
    """

    def __init__(self, data):
        self._data = data
        found = sorted((int(match[1]), match.start()) for match in ADDRESS.finditer(data))
        self._addresses = array.array("Q", (address for address, _ in found))
        self._starts = array.array("Q", (start for _, start in found))
        assert len(set(self._addresses)) == len(found) == data.count(b"\n"), "two lines for one object"

    def _index(self, address):
        index = bisect.bisect_left(self._addresses, address)
        return index if index < len(self._addresses) and self._addresses[index] == address else None

    def __contains__(self, address):
        return self._index(address) is not None

    def __getitem__(self, address):
        index = self._index(address)
        if index is None:
            raise KeyError(address)
        start = self._starts[index]
        return json.loads(self._data[start : self._data.index(b"\n", start)])

    def __iter__(self):
        return iter(self._addresses)

    def __len__(self):
        return len(self._addresses)


class Dump:
    """A dump: its objects by address, and its sidecar."""

    def __init__(self, path):
        self._data = path.read_bytes()
        self.objects = Objects(self._data)
        # Bytes, for a decoder made here would be an instance more of its class, and shrink what others have room for.
        self.meta = json.loads(path.with_name(path.name + ".meta.json").read_bytes())

    @property
    def lines(self):
        """The lines, as bytes."""
        return self._data.splitlines()

    @property
    def referred(self):
        """Addresses that any line refers to."""
        return {int(address) for match in REFS.finditer(self._data) for address in match[1].split(b", ")}

    def of(self, item):
        """The line of an object."""
        return self.objects[id(item)]


@contextlib.contextmanager
def _directory():
    """Not `tempfile.TemporaryDirectory`: it would be an object more of the heap while the dump is made."""
    directory = tempfile.mkdtemp()
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory)


def dump():
    """A dump of this process, as it is at this moment."""
    with _directory() as directory:
        path = directory / "truth.dump"
        heapsee.dump_all_objects(path)
        return Dump(path)


def dump_inline():
    """The same, but the process itself walks its heap."""
    with _directory() as directory:
        heapsee.install_memory_dumper(directory=directory, mode="inline", chain=True)
        try:
            return Dump(Path(heapsee.dump_memory()))
        finally:
            heapsee.uninstall_memory_dumper()
