"""Every line says what the object itself says: its referents, in order, and its size.

Held against `gc.get_referents` and `sys.getsizeof` for every object of this process, the zoo's among them.
"""

import asyncio
import gc
import importlib
import sys

import pytest
import truth_zoo
from truth_reference import Expected, Sightings, inline_array, is_static_type, reachable, running_frames
from truth_support import dump

LIBRARY = """
    aifc argparse ast asyncio base64 bdb binascii bisect bz2 calendar cgi cmath code codecs codeop
    collections.abc colorsys compileall concurrent.futures configparser contextlib copy copyreg csv ctypes
    curses datetime decimal difflib dis doctest email.message encodings.idna enum fileinput fnmatch fractions
    ftplib getopt gettext glob gzip hashlib heapq hmac html.parser http.client http.cookies http.server
    imaplib inspect ipaddress json keyword linecache locale logging.config lzma mailbox mimetypes mmap
    multiprocessing.pool netrc ntpath numbers opcode optparse pdb pickle pickletools pkgutil platform plistlib
    poplib posixpath pprint profile pstats pyclbr pydoc queue quopri random readline resource runpy sched
    secrets select selectors shelve shlex signal smtplib socket socketserver sqlite3 ssl statistics string
    stringprep struct subprocess symtable sysconfig syslog tarfile tempfile termios textwrap threading timeit
    tokenize trace tracemalloc tty turtle typing unicodedata unittest.mock urllib.request uuid venv warnings
    wave weakref wsgiref.simple_server xml.dom.minidom xml.sax xmlrpc.client zipapp zipfile zlib zoneinfo
""".split()  # noqa: SIM905


def import_library():
    """Imports what there is of the standard library; returns how much there was."""
    count = 0
    for name in LIBRARY:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        count += 1
    return count


def empty_free_list():
    """Takes what is on the free list of `_asyncio` into use; the caller keeps it so.

    The traverse of that module in 3.12 visits the dead on its free list. `gc.get_referents` revives them, and they are
    freed twice: the next collection goes round in circles for ever.
    """
    longest = 255
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    return [iter(future) for _ in range(longest + 1)]


class Comparison:
    """A dump of this process and what its objects had to say before and after."""

    def __init__(self):
        self.specimens = truth_zoo.specimens()
        self.specimens.update(truth_zoo.bombs())
        self.modules = import_library()
        gc.collect()
        gc.disable()
        # After the collection, for that may fill it.
        self.iterators = empty_free_list()
        try:
            running = running_frames()
            self.held = reachable(gc.get_objects())
            looked_at = [item for address, item in self.held.items() if address not in running]
            before = Sightings(looked_at)
            self.specimens_inline = {label for label, item in self.specimens.items() if inline_array(item)}
            truth_zoo.heard.clear()
            self.dump = dump()
            self.heard = list(truth_zoo.heard)
            after = Sightings(looked_at)
            # What has changed while we looked is ours: the tables above, and what dumping leaves in caches.
            is_stable = [before.words(number) == after.words(number) for number in range(len(before))]
            self.changed = [item for item, stable in zip(looked_at, is_stable) if not stable]
            self.expected = [
                (item, self.dump.objects.get(id(item)), Expected(item, before[number]))
                for number, item in enumerate(looked_at)
                if is_stable[number] and not is_static_type(item)
            ]
        finally:
            gc.enable()


@pytest.fixture(scope="module")
def comparison():
    comparison = Comparison()
    yield comparison
    # Ten million objects, which the dumps of other tests would hold too.
    vars(comparison).clear()
    gc.collect()


def name(comparison, item):
    labels = [label for label, specimen in comparison.specimens.items() if specimen is item]
    return labels[0] if labels else f"a {type(item).__name__}"


def test_the_comparison_is_of_nearly_everything(comparison):
    assert comparison.modules >= 100
    assert len(comparison.held) > 100_000
    assert len(comparison.changed) < 100
    zoo = {id(item) for item in comparison.specimens.values()}
    assert not zoo & {id(item) for item in comparison.changed}


def test_every_object_is_a_line_and_no_reference_dangles(comparison):
    held = comparison.held.items()
    missing = [name(comparison, item) for address, item in held if address not in comparison.dump.objects]
    assert missing == []
    assert comparison.dump.referred <= comparison.dump.objects.keys()
    assert comparison.dump.meta["counts"]["dangling_refs"] == 0
    assert comparison.dump.meta["counts"]["objects"] == len(comparison.dump.lines)


def test_referents_and_their_order(comparison):
    wrong = [
        (name(comparison, item), line["refs"], expected.refs.tolist())
        for item, line, expected in comparison.expected
        if line["refs"] != expected.refs.tolist()
    ]
    assert not wrong, f"{len(wrong)} lines are wrong, as: {wrong[:5]}"


def test_static_types_refer_to_nothing(comparison):
    static = [item for item in comparison.held.values() if is_static_type(item)]
    assert len(static) > 100
    assert [item for item in static if comparison.dump.of(item)["refs"]] == []


def test_sizes(comparison):
    wrong = [
        (name(comparison, item), line["size"], expected.size)
        for item, line, expected in comparison.expected
        if line["size"] != expected.size
    ]
    assert not wrong, f"{len(wrong)} lines are wrong, as: {wrong[:20]}"


def test_types(comparison):
    for item, line, _ in comparison.expected:
        if line["type"].isidentifier() and type(item).__flags__ & 1 << 9:
            assert line["type"] == type(item).__name__


def test_no_python_code_ran(comparison):
    assert comparison.heard == []


INLINE = sys.version_info >= (3, 11)


def test_which_instances_have_no_dict(comparison):
    """As they were made, not as memory says: the reference would be blind where it and the walk err alike."""
    inline = {
        "instance with attributes",
        "instance with equal attributes",
        "instance with attributes in another order",
        "instance after a deletion",
        "instance with an attribute deleted and set",
        "instance with none left",
        "instance that refers to itself",
        "slots, opened",
        "dataclass",
    }
    with_dict = {
        "instance whose dict was asked for",
        "instance of another class before",
        "instance with a dict of its own",
        "instance with forty attributes",
        "instance with an odd attribute",
    }
    if sys.version_info >= (3, 13):
        inline.discard("slots, opened")
    assert inline & comparison.specimens_inline == (inline if INLINE else set())
    assert not with_dict & comparison.specimens_inline
