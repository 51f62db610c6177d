"""What the walk believes of CPython's structures, held against the headers of the CPython that runs it."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from heapsee import _heapsee

HEADERS = {
    (3, 9): ["frameobject.h", "structmember.h", "internal/pycore_gc.h", "internal/pycore_runtime.h"],
    (3, 10): ["frameobject.h", "structmember.h", "internal/pycore_gc.h", "internal/pycore_runtime.h"],
}
LATER = ["frameobject.h", "structmember.h"] + [
    f"internal/pycore_{part}.h" for part in ["gc", "code", "frame", "dict", "runtime"]
]

PROGRAM = """
#define Py_BUILD_CORE 1
#include <stddef.h>
#include <stdio.h>
#include <Python.h>
{includes}
int main(void) {{
{prints}
    return 0;
}}
"""


def offset(structure, field):
    """How C says it. The collector's state is counted from its first generation on, for nothing before is looked at."""
    base = f" - offsetof({structure}, generations)" if structure == "struct _gc_runtime_state" else ""
    return f"offsetof({structure}, {field}){base}"


@pytest.fixture(scope="module")
def offsets(tmp_path_factory):
    """The offsets that this CPython's headers give, in the order of the walk's own table."""
    directory = tmp_path_factory.mktemp("layout")
    headers = HEADERS.get(sys.version_info[:2], LATER)
    source = PROGRAM.format(
        includes="\n".join(f'#include "{header}"' for header in headers),
        prints="\n".join(f'    printf("%zu\\n", {offset(*row[:2])});' for row in _heapsee._layout()),
    )
    (directory / "layout.c").write_text(source)
    include = sysconfig.get_path("include")
    # The folder above is where Debian's `pyconfig.h` looks for the one of the machine.
    folders = [f"-I{folder}" for folder in (include, f"{include}/internal", Path(include).parent)]
    command = ["cc", "-w", *folders, "-o", directory / "layout", directory / "layout.c"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"the headers of this CPython do not compile:\n{made.stderr}"
    return [int(line) for line in subprocess.check_output([directory / "layout"], text=True).split()]


def test_layouts(offsets):
    table = _heapsee._layout()
    assert [row[2] for row in table] == offsets, [
        (*row, there) for row, there in zip(table, offsets) if row[2] != there
    ]


def test_the_table_is_of_this_version():
    fields = {field for _, field, _ in _heapsee._layout()}
    assert "co_name" in fields
    assert "permanent_generation" in fields
    assert "main_thread" in fields
    assert ("localsplus" in fields) == (sys.version_info >= (3, 11))
    assert ("capacity" in fields) == (sys.version_info >= (3, 13))
    assert all(re.fullmatch(r"[\w.]+", field) for field in fields)
