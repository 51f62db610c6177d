"""Arms this process while its interpreter starts, because HEAPSEE_INSTALL is set: ``heapsee_install.pth`` imports this.

Whatever goes wrong here is one line on stderr: the program it happens to has not asked for heapsee by itself, and must
start as it would have. What the variables mean is `heapsee.environment`'s business.
"""

import sys


def _is_subinterpreter():
    """The extension lives in a process's main interpreter, which has read the ``.pth`` file before any other began."""
    try:
        interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    except ImportError:
        return False
    return interpreters.get_current() != interpreters.get_main()


def _install():
    try:
        if _is_subinterpreter():
            return
        from heapsee import environment

        if environment.wants_installation():
            environment.install()
    except Exception as error:
        text = " ".join(f"{error}".split())
        sys.stderr.write(f"heapsee: not installed in process {__import__('os').getpid()}: {text}\n")


_install()
