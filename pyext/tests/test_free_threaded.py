"""A free-threaded CPython is refused with words, before anything is done. There is such a build from 3.13 on."""

import re
import subprocess
import sys

# Such an interpreter has a version text that says so; that of this one is overwritten where the C API has it.
PRETEND = """
import ctypes, os, sys
version = ctypes.pythonapi.Py_GetVersion
version.restype = ctypes.c_void_p
text = sys.version.split(" ")[0].encode() + b" experimental free-threading build (main)"
ctypes.memmove(version(), text + bytes(1), len(text) + 1)
"""


def pretend(source):
    """What such an interpreter says to that, on stdout and stderr."""
    command = [sys.executable, "-c", f"{PRETEND}\n{source}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


if sys.version_info >= (3, 13):

    def test_the_import_is_refused_with_words():
        said = pretend("try:\n    import heapsee\nexcept ImportError as error:\n    print(error)")
        refusal = "heapsee does not support free-threaded builds of Python yet: use the usual build of the same version"
        assert said == (f"{refusal}\n", "")

    def test_an_interpreter_that_was_to_arm_itself_goes_on():
        said, errors = pretend("os.environ['HEAPSEE_INSTALL'] = '1'\nimport _heapsee_install\nprint('goes on')")
        assert said == "goes on\n"
        assert re.fullmatch(r"heapsee: not installed in process \d+: heapsee does not support free-thr.*\n", errors)
