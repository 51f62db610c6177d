"""``install_memory_dumper`` with arguments from the environment: HEAPSEE_SIGNAL, HEAPSEE_DIRECTORY and so on.

Every keyword of :func:`heapsee.install_memory_dumper` has a variable of its name, and ``dump_signal`` has
HEAPSEE_SIGNAL. The hooks for servers install through this module, and so does HEAPSEE_INSTALL=1. Changes no variable,
and reads none that is not called HEAPSEE_….
"""

# The C module, as in heapsee itself.
import _signal
import os

import heapsee

__all__ = ["arguments", "install", "wants_installation"]

_PREFIX = "HEAPSEE_"
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def install():
    """Install the dumper as the environment says, unless it is installed in this process already.

    :raises ValueError: a variable's value makes no sense; the text names the variable.
    :raises RuntimeError: as :func:`heapsee.install_memory_dumper`.
    """
    if heapsee.status()["installed"]:
        return
    try:
        heapsee.install_memory_dumper(**arguments())
    except (OverflowError, TypeError) as error:
        # What was read is of a type that the option does not take, or far too large for it.
        raise ValueError(f"{error}") from None


def wants_installation():
    """Tell whether HEAPSEE_INSTALL says yes.

    :raises ValueError: it says neither yes nor no.
    """
    return _flag(os.environ.get("HEAPSEE_INSTALL") or "0", "HEAPSEE_INSTALL")


def arguments():
    """Return what the environment says, as keyword arguments of :func:`heapsee.install_memory_dumper`.

    :raises ValueError: a variable's value makes no sense, or its name is nearly that of an option.
    """
    found = {}
    options = {"signal": "dump_signal", **{name: name for name in heapsee.install_memory_dumper.__kwdefaults__}}
    for option, keyword in options.items():
        variable = _PREFIX + option.upper()
        text = os.environ.get(variable)
        if text:
            found[keyword] = _reader(keyword)(text, variable)
    _refuse_misspelt([_PREFIX + option.upper() for option in options])
    return found


def _reader(keyword):
    """What turns an option's text into its value: the option's default tells of what type that is."""
    if keyword == "dump_signal":
        return _signal_number
    default = heapsee.install_memory_dumper.__kwdefaults__[keyword]
    return {bool: _flag, int: _number, float: _number}.get(type(default), _text)


def _text(text, _):
    return text


def _flag(text, variable):
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{variable} is {text!r}: it must be 1 or 0") from None


def _number(text, variable):
    if text.strip().lower() == "none":
        return None
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        raise ValueError(f"{variable} is {text!r}: it must be a number, or none") from None


def _signal_number(text, variable):
    """``SIGPROF``, ``PROF``, ``27``, ``SIGRTMIN+3``, ``RTMAX-1``."""
    name = text.strip().upper()
    if name.isdecimal():
        return int(name)
    at = max(name.find("+"), name.find("-"))
    name, offset = (name, "+0") if at < 0 else (name[:at], name[at:])
    name = name.removeprefix("SIG")
    number = getattr(_signal, f"SIG{name}", None) if name.isalnum() else None
    takes_offset = at < 0 or name in ("RTMIN", "RTMAX")
    if number is not None and takes_offset and offset[1:].isdecimal():
        return number + int(offset)
    raise ValueError(f"{variable} is {text!r}: it must be a signal, such as SIGPROF, SIGRTMIN+3 or 27")


def _refuse_misspelt(known):
    """An option that is silently not taken would be found out at the worst moment."""
    for variable in os.environ:
        if not variable.startswith(_PREFIX) or variable in known or variable == "HEAPSEE_INSTALL":
            continue
        import difflib

        for meant in difflib.get_close_matches(variable, known, n=1, cutoff=0.85):
            raise ValueError(f"{variable} is no option of heapsee's: {meant} is")
