"""Prometheus' own checker of alerts."""

from __future__ import annotations

import shutil
from pathlib import Path

from console import BUILD, StepError, run


def promtool() -> Path | None:
    """Prometheus' own checker: this machine's, else Debian's, unpacked but not installed; None where neither is."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    folder = BUILD / "prometheus"
    tool = folder / "usr" / "bin" / "promtool"
    if tool.is_file():
        return tool
    if shutil.which("apt-get") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(["sh", "-c", f"cd '{folder}' && apt-get -qq download prometheus"], quiet=True)
        (package,) = folder.glob("prometheus_*.deb")
        run(["dpkg", "--extract", package, folder], quiet=True)
    except (StepError, ValueError):
        return None
    return tool if tool.is_file() else None
