"""Dumps of this very process, and their lines as values."""

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


class Dump:
    """A dump: its lines as bytes, its objects by address, its sidecar."""

    def __init__(self, path):
        self.lines = path.read_bytes().splitlines()
        self.objects = {}
        for line in self.lines:
            found = json.loads(line)
            assert found["address"] not in self.objects, f"two lines for one object: {line!r}"
            self.objects[found["address"]] = found
        # Bytes, for a decoder made here would be an instance more of its class, and shrink what others have room for.
        self.meta = json.loads(path.with_name(path.name + ".meta.json").read_bytes())

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
