"""A CPython 3.14 from before its collector was changed back (3.14.5), to run what was built for a later one.

Nobody packages one by itself. Programs frozen by cx_Freeze bring their interpreter along, though, and the wheel
`freeze-core` has it: linked in one piece, with its extension modules beside it. It starts by importing ``__startup__``
from the folder ``lib`` next to it; the rest of the library is that of the CPython that runs the tests.
"""

import os
import sys
import sysconfig
from pathlib import Path

#: Makes of that program what tests start as ``sys.executable``: ``-c SOURCE`` or ``-m MODULE``, and arguments.
STARTUP = """
import os, sys

def init():
    sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]

def run():
    import __main__
    arguments = sys.argv[1:]
    if arguments[0] == "-c":
        sys.argv[:] = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), vars(__main__))
    else:
        import runpy
        sys.argv[:] = arguments[1:]
        runpy._run_module_as_main(arguments[1])
"""

#: Its own are in the wheel; those of other releases may not fit.
NOT_OURS = {"lib-dynload", "site-packages", "dist-packages", "__pycache__", "test"}


def make(wheel, directory):
    """Puts it together in a directory, from where the wheel is unpacked; returns the program."""
    wheel = Path(wheel)
    app = directory / "app"
    library = app / "lib"
    library.mkdir(parents=True)
    for path in Path(sysconfig.get_path("stdlib")).iterdir():
        if path.name not in NOT_OURS:
            (library / path.name).symlink_to(path)
    for path in (wheel / "freeze_core" / "lib").glob("*.so"):
        # Those for interpreters within the interpreter need what that program does not have.
        if not path.name.startswith("_interp"):
            (library / path.name).symlink_to(path)
    # Where its extension modules look for the libraries they need.
    (directory / "freeze_core.libs").symlink_to(wheel / "freeze_core.libs")
    (library / "__startup__.py").write_text(STARTUP)
    (base,) = (wheel / "freeze_core" / "bases").glob("console-cpython-314-*-linux-gnu")
    program = app / "python"
    program.write_bytes(base.read_bytes())
    program.chmod(0o755)
    return program


def environment():
    """What it is started with: our path, but for the library."""
    library = sysconfig.get_path("stdlib")
    path = [folder for folder in sys.path if folder and not folder.startswith(library)]
    # In an environment the packages may lie below the library.
    packages = [folder for folder in sys.path if Path(folder).name in ("site-packages", "tests")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*path, *packages]))}
