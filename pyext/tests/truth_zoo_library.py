"""Specimens of the zoo that the library makes in C, with states of their own: files, cursors, coders, parsers."""

import array
import bz2
import codecs
import collections
import csv
import ctypes
import datetime
import decimal
import functools
import hashlib
import hmac
import io
import itertools
import json
import lzma
import mmap
import operator
import os
import pickle
import re
import select
import selectors
import socket
import sqlite3
import ssl
import struct
import sys
import threading
import types
import unicodedata
import weakref
import xml.parsers.expat
import zlib
import zoneinfo
from xml.etree import ElementTree

from truth_zoo_classes import plain


def _database():
    """sqlite3, in the middle of a query; with functions of ours in it."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.create_function("double", 1, lambda number: number * 2)
    connection.create_collation("backwards", lambda one, other: (one < other) - (one > other))
    connection.set_trace_callback(lambda statement: None)

    class Total:
        def __init__(self):
            self.seen = []

        def step(self, value):
            self.seen.append(value)

        def finalize(self):
            return len(self.seen)

    connection.create_aggregate("total_seen", 1, Total)
    connection.executescript("create table t (a, b); insert into t values (1, 'x'), (2, x'00ff'), (3, null);")
    cursor = connection.execute("select double(a), b from t order by b collate backwards")
    row = cursor.fetchone()
    return [connection, cursor, row, connection.execute("select total_seen(a) from t"), row.keys()]


def _files():
    """Files and sockets of all layers."""
    left, right = socket.socketpair()
    mapped = mmap.mmap(-1, 4096)
    selector = selectors.DefaultSelector()
    selector.register(left, selectors.EVENT_READ, data=[1])
    poll = select.poll()
    poll.register(right, select.POLLIN)
    buffered = io.BufferedReader(io.FileIO(os.devnull))
    text = io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")), "utf-16", newline="\r\n")
    text.write("pending")
    decoding = io.TextIOWrapper(io.BytesIO("a \u4e2d\nb".encode("utf-16")), "utf-16")
    decoding.readline()
    with os.scandir("/proc/self") as entries:
        entry = next(entries)
    return {
        "file to read": buffered,
        "file to write": text,
        "file that decodes": decoding,
        "pair of files": io.BufferedRWPair(io.BytesIO(), io.BytesIO()),
        "random access": io.BufferedRandom(io.BytesIO(b"abc")),
        "socket": left,
        "file of a socket": right.makefile("rwb"),
        "map of memory": mapped,
        "view of a map": memoryview(mapped),
        "selector": selector,
        "poll": poll,
        "epoll": select.epoll(),
        "TLS context": ssl.create_default_context(),
        "directory entry": entry,
        "view that was released": _released(),
        "buffer that is seen": io.BytesIO(b"seen").getbuffer(),
        "newline decoder": io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), True),
    }


def _released():
    view = memoryview(b"content")
    view.release()
    return view


def _coders():
    """Compressors, digests, pickles, parsers: half-way through."""
    pickled = io.BytesIO()
    pickler = pickle.Pickler(pickled, 5, buffer_callback=[].append)
    pickler.dispatch_table = {list: print}
    pickler.dump([plain(), {"a": [1]}])
    unpickler = pickle.Unpickler(io.BytesIO(pickle.dumps([[1], {2}, {"a": "b"}])))
    unpickler.load()
    compressor, inflater = zlib.compressobj(), zlib.decompressobj()
    compressor.compress(b"a" * 1000)
    inflater.decompress(zlib.compress(b"b" * 1000) + b"unused")
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: None
    parser.buffer_text = True
    parser.Parse("<a><b>text", False)
    builder = ElementTree.TreeBuilder()
    builder.start("a", {"k": "v"})
    builder.data("text")
    feeding = ElementTree.XMLPullParser(["start", "end", "start-ns"])
    feeding.feed("<a xmlns:p='u'><p:b>text</p:b>")
    lines = csv.reader(["a,b", "'c"])
    next(lines)
    return {
        "pickler": pickler,
        "pickler's memo": pickler.memo,
        "unpickler": unpickler,
        "pickle buffer": pickle.PickleBuffer(bytearray(10)),
        "compressor": compressor,
        "decompressor": inflater,
        "bz2": bz2.BZ2Compressor(),
        "bz2, back": bz2.BZ2Decompressor(),
        "lzma": lzma.LZMACompressor(),
        "lzma, back": lzma.LZMADecompressor(),
        "digest": hashlib.sha256(b"a"),
        "digest of another make": hashlib.blake2b(b"a", key=b"k"),
        "digest with a key": hmac.new(b"k", b"a", "sha256"),
        "expat": parser,
        "tree builder": builder,
        "pull parser": feeding,
        "csv reader": lines,
        "csv writer": csv.writer(io.StringIO()),
        "csv dialect": csv.get_dialect("excel"),
        "json decoder": json.JSONDecoder(object_hook=plain, strict=False),
        "json encoder": json.encoder.c_make_encoder({}, str, str, None, ":", ",", True, True, True),
        "incremental codec": codecs.getincrementalencoder("gb18030")(),
        "stream codec": codecs.getreader("shift_jis")(io.BytesIO(b"x")),
        "struct iterator": struct.iter_unpack("<i", b"12345678"),
        "regex scanner": re.compile("(a)(b)?").scanner("abab"),
        "regex match": re.compile("(?P<n>a)").search("xxa"),
        "regex iterator": re.finditer("a", "aaa"),
        "unicode of old": unicodedata.ucd_3_2_0,
        "long text as a key": {"k" * 1000: re.compile("x" * 1000)},
    }


class _Node(ctypes.Structure):
    """A list in C."""


_Node._fields_ = [("next", ctypes.POINTER(_Node)), ("bits", ctypes.c_int, 3), ("text", ctypes.c_wchar_p)]


def _of_c():
    """ctypes, with what its objects keep alive."""
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.py_object)
    last = _Node(None, 1, "last")
    first = _Node(ctypes.pointer(last), 2, "first \u4e2d")
    nodes = (_Node * 3)(first, last)
    nodes[2].next = ctypes.pointer(first)
    return {
        "list in C": first,
        "part of it": first.next.contents,
        "array of structures": nodes,
        "element of an array": nodes[1],
        "array of pointers": (ctypes.c_char_p * 3)(b"a", b"b"),
        "pointer to itself": ctypes.pointer(ctypes.c_void_p()),
        "callback": callback(lambda number, item: 0),
        "function pointer's type": callback,
        "buffer from a bytearray": (ctypes.c_char * 10).from_buffer(bytearray(20)),
        "library of C": ctypes.CDLL(None),
        "function of C": ctypes.CDLL(None).strlen,
        "field": _Node.bits,
        "number in another order": ctypes.c_int.__ctype_be__(5),
        "reference": ctypes.byref(last),
        "object": ctypes.py_object([1]),
    }


def library():
    """All of these."""
    context = decimal.Context(prec=5, traps=[decimal.Inexact])
    local = threading.local()
    local.here = [1]
    keys = weakref.WeakKeyDictionary({plain(): [1]})
    target = plain(x=[1])
    finalizer = weakref.finalize(target, plain, key={2})
    remembered = functools.lru_cache(maxsize=None)(lambda *arguments, **named: [arguments])
    for number in range(50):
        remembered(number, key=str(number))
    bounded = functools.lru_cache(maxsize=3, typed=True)(lambda argument: [argument])
    for number in (1, 2.0, "3", (4,), 1):
        bounded(number)
    rotated = collections.deque(range(1000), maxlen=700)
    rotated.rotate(333)
    for _ in range(100):
        rotated.popleft()
    holey = set(range(2000))
    holey -= set(range(0, 2000, 3))
    holey.add(("added",))
    islands = set(map(str, range(100)))
    while len(islands) > 1:
        islands.pop()
    ordered = collections.OrderedDict((str(number), [number]) for number in range(100))
    for number in range(0, 100, 2):
        del ordered[str(number)]
    ordered.move_to_end("1")
    teed = itertools.tee(iter([[number] for number in range(200)]), 3)
    for _ in range(150):
        next(teed[1])
    return {
        **_files(),
        **_coders(),
        **_of_c(),
        "database": _database(),
        "timezone": datetime.timezone(datetime.timedelta(hours=1), "one"),
        "zone": zoneinfo.ZoneInfo("UTC"),
        "moment in a zone": datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        "zone without a cache": zoneinfo.ZoneInfo.no_cache("UTC"),
        "decimal context's traps": context.traps,
        "huge decimal": decimal.Decimal(10) ** 5000 + 1,
        "NaN of decimals": decimal.Decimal("NaN123"),
        "int of ten thousand digits": 2**30000,
        "negative int of ten thousand digits": -(2**30000) + 1,
        "local with attributes": local,
        "weak keys, dead": keys,
        "finalizer": finalizer,
        "what it waits for": target,
        "lru_cache without bounds": remembered,
        "lru_cache, typed": bounded,
        "lru_cache as a method": type("Caching", (), {"method": bounded})().method,
        "deque that was rotated": rotated,
        "deque iterator, reversed": reversed(rotated),
        "set with holes": holey,
        "set that was large": islands,
        "OrderedDict with holes": ordered,
        "OrderedDict's iterator": iter(ordered.items()),
        "OrderedDict's keys": ordered.keys(),
        "OrderedDict reversed": reversed(ordered),
        "tees apart": teed,
        "tee, copied": teed[1].__copy__(),
        "cycle that has turned": _turned(),
        "product of many": itertools.product("ab", repeat=5),
        "combinations, repeated": itertools.combinations_with_replacement([[1], [2]], 2),
        "struct sequence of many": os.stat("/"),
        "struct sequence's type": type(os.stat("/")),
        "times": os.times(),
        "flags": sys.flags,
        "mappingproxy of a class": vars(plain().__class__),
        "mappingproxy of a mapping": types.MappingProxyType(collections.ChainMap({})),
        "method of a method": [].append.__call__,
        "getter of items": operator.itemgetter(slice(1, 2), [3]),
        "array of text": array.array("u", "text"),
        "single dispatch": _dispatched(),
    }


def _turned():
    cycle = itertools.cycle([[1], [2]])
    for _ in range(3):
        next(cycle)
    return cycle


def _dispatched():
    @functools.singledispatch
    def said(item):
        return str(item)

    said.register(int, lambda item: [item])
    said(True)
    said("text")
    return said
