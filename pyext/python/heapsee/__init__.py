"""Heap dumps of live Python workers, by a signal, while they keep serving.

    import heapsee
    heapsee.install_memory_dumper()

From then on ``kill -PROF <pid>`` (or ``heapsee-agent dump``) writes every object of the process, with what it refers
to, to ``meliae.<time>.<pid>.dump`` in the temporary directory, and what else there is to know to the same name with
``.meta.json`` added. The process pauses for a fork (10 to 60 ms per GB) and goes on; a child writes.

A dump holds what the process's memory holds, secrets too: files are readable for their owner only.
"""

import os

# The C module: `signal` itself brings `enum`, which takes longer to import than all of heapsee.
from _signal import SIGPROF as _SIGPROF

from . import _heapsee
from ._heapsee import DumpError, __version__, get_referents, size_of, status

__all__ = [
    "DumpError",
    "__version__",
    "dump_all_objects",
    "dump_memory",
    "get_referents",
    "install_memory_dumper",
    "size_of",
    "status",
    "uninstall_memory_dumper",
]

_PIECE = 1 << 20


def install_memory_dumper(
    dump_signal=_SIGPROF,
    *,
    directory=None,
    mode="auto",
    chain=False,
    gil_timeout=10.0,
    values="full",
    min_free=32 << 20,
):
    """Have ``dump_signal`` make a heap dump of this process, and of every process forked from it.

    :param dump_signal: a signal number, by default SIGPROF. Only signals that somebody sent count (root, or the same
        user): those of a timer, as profilers use them, are ignored.
    :param directory: where dumps go; by default ``tempfile.gettempdir()``. It must exist.
    :param mode: ``"fork"``: a forked child writes the dump, the process pauses for the fork only. ``"inline"``: the
        process itself writes it and serves nobody meanwhile. ``"auto"``: ``"fork"``, and ``"inline"`` only where no
        process can be forked at all.
    :param gil_timeout: seconds to wait for the GIL. A thread stuck in C code may never give it up, and a uWSGI without
        ``enable-threads`` does not: the process is then forked without it. Such a dump has ``"consistency":
        "fork-without-gil"`` in its sidecar: it is of one moment, but what was being changed at that moment stands in it
        half changed. ``None``: wait for ever.
    :param chain: when the signal has a handler already, call both. Otherwise that is an error.
    :param values: what becomes of what strings, bytes and ints hold. ``"full"``: written, cut to 100 characters.
        ``"hash"``: a salted hash of the whole, so that what is there many times can still be found. ``"none"``: left
        out. Lengths, sizes and references stay, and so do the names that the program's code uses: of types, attributes,
        variables, functions and modules.
    :param min_free: bytes that a dump leaves free on the disk: before it takes more, it is refused or given up.
    :raises ValueError: the signal cannot be used, the directory does not exist, the mode, the timeout or ``values`` is
        none of those above.
    :raises RuntimeError: the signal has a handler already, or this interpreter is not supported.

    May be called from any thread, and again: with other arguments it changes what is installed. Signals that come
    while a dump is under way are counted (see :func:`status`) and make no other dump.
    """
    if directory is None:
        directory = _temporary_directory()
    directory = os.path.abspath(os.fsdecode(directory))
    try:
        _heapsee.install(int(dump_signal), directory, mode, bool(chain), gil_timeout, values, min_free)
    except OverflowError:
        raise ValueError(f"dump_signal is {dump_signal} and min_free {min_free}: one of them is out of range") from None


def uninstall_memory_dumper():
    """Give the signal back to whom it belonged before.

    Waits for a dump that is under way. Harmless when not installed.
    """
    _heapsee.uninstall()


def dump_memory(signum=None, frame=None):
    """Make a dump now and return its path.

    It goes to the installed directory (or the temporary one) under the usual name. The signature is a signal
    handler's, so this can be one: ``signal.signal(signal.SIGUSR1, heapsee.dump_memory)``.

    Returns when the file is complete. The GIL is not held meanwhile, but for the fork.

    :raises DumpError: there is no dump; the text says why.
    """
    return os.fspath(_heapsee.dump_to_directory(os.path.abspath(_temporary_directory()), signum))


def dump_all_objects(outf):
    """Make a dump now into ``outf``: a path, or an object with ``write()`` that takes bytes.

    The name is meliae's. A file at the path is replaced when the new one is complete; its sidecar
    (``<path>.meta.json``) is written too. A file object gets the lines only, and nothing at all if the dump fails.

    :raises DumpError: there is no dump; the text says why.
    """
    write = getattr(outf, "write", None)
    if write is None:
        _heapsee.dump_to_path(_regular_file(outf))
        return
    _copy_lines(write, _heapsee.dump_to_file)


def _copy_lines(write, dump):
    """Have ``dump`` fill a file by its descriptor; then, when all is well, ``write`` gets what is in it."""
    import tempfile

    with tempfile.TemporaryFile() as temporary:
        dump(temporary.fileno())
        temporary.seek(0)
        while piece := temporary.read(_PIECE):
            write(piece)


def _temporary_directory():
    # Not imported with us: it takes longer than all of heapsee, and who names a directory does without it.
    import tempfile

    return tempfile.gettempdir()


def _regular_file(path):
    """The absolute path behind all links. Replacing a device or a pipe by a file is not what anybody wants."""
    path = os.path.realpath(os.fsdecode(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path} is not a regular file: open it and pass the open file instead")
    return path
