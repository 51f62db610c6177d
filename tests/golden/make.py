"""Makes the golden dumps anew: ``PYTHONPATH=tests python -m golden.make [MINOR…]``, after ``make setup``.

Needs the environments under ``build/`` and the program ``zstd``; for Python 2 an interpreter that has meliae, as
``HEAPSEE_PYTHON2``. Beside each dump goes its sidecar and, by meliae's own loader, what must be in it. Nothing of the
machine stays in them: neither its name nor a path.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "analyzer" / "tests" / "golden"
BUILD = Path(os.environ.get("HEAPSEE_BUILD_DIR") or ROOT / "build")
SUBJECT = Path(__file__).with_name("subject.py")
MINORS = ("2.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
WITH_MELIAE = ("2.7", "3.8")
TELL = "import sys, json; print(json.dumps([sys.path, getattr(sys, 'base_prefix', sys.prefix), sys.prefix]))"
OF_THE_HOST = {"hostname": "golden", "kernel": "6.1.0"}
OF_THE_PROCESS = {"command_line": ["python", "-S", "subject.py"], "executable": "/usr/bin/python", "cgroup": "/"}


def interpreter(minor: str) -> Path:
    """Where the Python of this version is that can dump itself."""
    if minor == "2.7":
        return Path(os.environ["HEAPSEE_PYTHON2"])
    return BUILD / ("venv-meliae" if minor == "3.8" else f"venv-{minor}") / "bin" / "python"


def libraries(python: Path, minor: str) -> tuple[list[str], list[str]]:
    """What has to be on the path for the dump alone, and all folders of this machine that Python knows of."""
    known = json.loads(subprocess.run([python, "-E", "-c", TELL], check=True, capture_output=True, text=True).stdout)
    path, *prefixes = known
    packages = [folder for folder in path if folder.endswith("site-packages")]
    if minor not in WITH_MELIAE:
        return [f"{packages[0]}/heapsee"], [*prefixes, *path]
    return [folder for folder in path if folder], [*prefixes, *path]


def neutral(text: str, prefixes: list[str]) -> str:
    """The text without this machine's folders, and not a byte longer or shorter."""
    folders = {str(folder) for prefix in prefixes if prefix for folder in (prefix, Path(prefix).resolve())} - {"/usr"}
    for folder in sorted((folder for folder in folders if folder.count("/") > 1), key=len, reverse=True):
        text = text.replace(folder, "/python".ljust(len(folder), "_"))
        # In the lines of a dump strokes are escaped.
        written = folder.replace("/", "\\/")
        text = text.replace(written, "\\/python".ljust(len(written), "_"))
    return text


def dump_of(minor: str, path: Path) -> None:
    """Has a Python of this version dump the subject, in an environment without a word in it."""
    python = interpreter(minor)
    needed, prefixes = libraries(python, minor)
    start = f"import sys; sys.path[:0] = {needed!r}; sys.argv[:] = ['subject.py', {path.name!r}]; import encodings; "
    start += f"exec(compile(open({str(SUBJECT)!r}).read(), 'subject.py', 'exec'))"
    subprocess.run([python, "-S", "-OO", "-c", start], check=True, env={"LC_ALL": "C.UTF-8"}, cwd=path.parent)
    prefixes += [str(ROOT), str(BUILD), str(path.parent)]
    raw = path.read_text("ascii")
    text = neutral(raw, prefixes)
    assert len(text) == len(raw), "a folder was replaced by something longer or shorter"
    path.write_text(text, "ascii")
    sidecar = path.with_name(f"{path.name}.meta.json")
    if sidecar.exists():
        meta: dict[str, Any] = json.loads(neutral(sidecar.read_text(), prefixes))
        meta["host"] |= OF_THE_HOST
        meta["process"] |= OF_THE_PROCESS
        meta["file"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        sidecar.write_text(json.dumps(meta, separators=(",", ":")) + "\n")


def make(minor: str, folder: Path) -> None:
    """One dump, with its sidecar and meliae's word."""
    path = folder / f"cpython-{minor}.dump"
    dump_of(minor, path)
    teller = ROOT / "tests" / "oracle" / "with_meliae.py"
    # What came from Python 2 meliae can read only there.
    reader = interpreter("2.7" if minor == "2.7" else "3.8")
    told = subprocess.run([reader, teller, path], check=True, capture_output=True, text=True).stdout
    answers = json.loads(told)
    assert answers["json"] == answers["regex"], "meliae's two modes disagree"
    (GOLDEN / f"{path.name}.meliae.json").write_text(json.dumps(answers["json"], sort_keys=True) + "\n")
    subprocess.run(["zstd", "--ultra", "-22", "-q", "-f", path, "-o", GOLDEN / f"{path.name}.zst"], check=True)
    sidecar = path.with_name(f"{path.name}.meta.json")
    if sidecar.exists():
        (GOLDEN / sidecar.name).write_bytes(sidecar.read_bytes())


def main(minors: list[str]) -> None:
    """Makes those of these versions, or all."""
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        for minor in minors or MINORS:
            make(minor, Path(folder))
            print(f"cpython-{minor}")


if __name__ == "__main__":
    main(sys.argv[1:])
