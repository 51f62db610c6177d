"""What users install: the source distribution is built, installed into a bare environment, and arms a process there.

Publishes nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from console import BUILD, ROOT, StepError, run
from environments import build_environment, pip_install
from pythons import Python

ARMED = """
import sys
status = sys.modules["heapsee"].status()
assert status["armed"] and status["signal"] == 12 and status["mode"] == "fork", status
"""


def check_source_distribution(tools: Path, python: Python) -> str:
    """Builds it with the tools' maturin, installs it with `python`'s pip as a user would, and tries it."""
    folder = BUILD / "packaging"
    shutil.rmtree(folder, ignore_errors=True)
    maturin = tools.parent / "maturin"
    run([maturin, "sdist", "--manifest-path", ROOT / "pyext" / "Cargo.toml", "--out", folder], quiet=True)
    (distribution,) = folder.glob("heapsee-*.tar.gz")
    interpreter = folder / "venv" / "bin" / "python"
    run([python.executable, "-m", "venv", folder / "venv"], quiet=True)
    run([*pip_install(interpreter), distribution], env=build_environment(interpreter), quiet=True)
    run([interpreter, "-c", ARMED], env={"HEAPSEE_INSTALL": "1", "HEAPSEE_SIGNAL": "USR2", "HEAPSEE_MODE": "fork"})
    if run([interpreter, "-c", "import sys; print('heapsee' in sys.modules)"], quiet=True).strip() != "False":
        raise StepError("an interpreter imports heapsee although HEAPSEE_INSTALL is not set")
    return ""
