"""meliae's scanner by its own names: sizes and references of single objects, in the process itself.

    from heapsee import scanner
    count, size = scanner.get_recursive_size(cache)

Whole processes are dumped better with :func:`heapsee.install_memory_dumper` or :func:`heapsee.dump_memory`.
"""

import contextlib
import os
import tempfile

from . import _copy_lines, _heapsee, _regular_file, dump_all_objects, get_referents

__all__ = [
    "add_special_size",
    "dump_all_objects",
    "dump_all_referenced",
    "find_interned_dict",
    "get_recursive_items",
    "get_recursive_size",
    "get_referents",
    "size_of",
]

_COLLECTOR_HEADER = 16
_HAVE_GC = 1 << 14
"""`Py_TPFLAGS_HAVE_GC` of CPython's ``Include/object.h``."""
_special_sizes = {}


def size_of(obj):
    """Bytes of ``obj`` alone: what ``sys.getsizeof`` says, and storage that belongs to it and that it forgets.

    A function given to :func:`add_special_size` for its type goes first.
    """
    special = _special_sizes.get(type(obj).__name__)
    own = -1 if special is None else special(obj)
    if own < 0:
        return _heapsee.size_of(obj)
    return own + (_COLLECTOR_HEADER if type(obj).__flags__ & _HAVE_GC else 0)


def add_special_size(tp_name, size_of_32, size_of_64):
    """Have ``size_of_64(obj)`` say how many bytes objects of types of this name take, the collector's header aside.

    It returns -1 for objects it does not know. ``None`` takes it back. ``size_of_32`` is there for meliae's callers: no
    supported Python has 32 bits. Counts for :func:`size_of` and :func:`get_recursive_size`; a dump runs no Python code.
    """
    if size_of_64 is None:
        _special_sizes.pop(tp_name, None)
    elif callable(size_of_64):
        _special_sizes[tp_name] = size_of_64
    else:
        raise TypeError(f"size_of_64 is {size_of_64!r}: it must be a function of an object, or None")


def get_recursive_items(obj):
    """All objects that ``obj`` leads to, itself the first; each once.

    Instances lead to their classes, and those to modules: the list can be long.
    """
    return _heapsee.reachable(obj)


def get_recursive_size(obj):
    """How many objects ``obj`` leads to, itself included, and their bytes: ``(count, size)``.

    That is what it can reach, shared or not, and no retained size.
    """
    items = _heapsee.reachable(obj)
    return len(items), sum(map(size_of, items))


def dump_all_referenced(outf, obj, is_pending=False):
    """Write ``obj`` and all it leads to into ``outf``: a path, or an object with ``write()`` that takes bytes.

    With ``is_pending``, ``obj`` is an iterable of objects to begin with. The process waits meanwhile. A file at the
    path is replaced when the new one is complete.
    """
    starts = list(obj) if is_pending else [obj]

    def dump(fd):
        _heapsee.dump_reachable(fd, starts)

    write = getattr(outf, "write", None)
    if write is not None:
        _copy_lines(write, dump)
        return
    path = _regular_file(outf)
    fd, temporary = tempfile.mkstemp(prefix=".heapsee-", dir=os.path.dirname(path))
    try:
        dump(fd)
        os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def find_interned_dict():
    """``None``: CPython 3 keeps its dict of interned strings from the collector, and so from everybody."""
    return
